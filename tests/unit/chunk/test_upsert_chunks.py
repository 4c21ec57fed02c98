"""Tables of chunks are always what their runs say: a text that gets shorter leaves no chunk behind."""

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.chunk.chunked import Chunked
from producer.chunk.cuts import cut_all
from producer.jobs import JobLimits, cut
from producer.plan import made_plan, to_embed
from producer.table import check_covered, commit, count_twins, list_parts, open_table, save_plan
from producer.twins import copy_vectors, find_twins, save_twins, twins_of
from producer.verify import verify
from schemas.errors import TableError
from schemas.run import Chunking, SourceOptions
from schemas.text import Span
from tests.unit.chunk.test_chunked import ByLetters
from tests.unit.parts import a_receipt, a_record, a_spec, encode, encoded
from tests.unit.source.corpora import opened
from worker.output import write_part

CORPUS = st.dictionaries(
    st.sampled_from(["d0", "d1", "d2", "d3"]), st.one_of(st.none(), st.text("ab", max_size=12)), min_size=1
)


class ByWords:
    """Pieces between spaces."""

    def spans(self, texts):
        return [[Span(*found.span()) for found in re.finditer(r"\S+", text)] for text in texts]


def prepared(table, corpus, run, *, mode="upsert", size=3, spec=None, splits=None):
    """The record of a run over this corpus, and its chunks."""
    path = Path(table).parent / "corpus.jsonl"
    path.write_text("".join(json.dumps({"id": id_, "text": text}) + "\n" for id_, text in corpus.items()))
    source = opened(path)
    cuts = cut_all(source, splits or ByLetters(size))
    rows = Chunked(source, cuts)
    state = open_table(str(table))
    record = a_record(
        table, run, rows=cuts.chunks, mode=mode, chunking=Chunking(rows=len(corpus), digest=cuts.digest),
        base_version=None if state is None else state.version, spec=spec or a_spec(),
        source=SourceOptions(paths=(str(path),), keep_text=True, chunk_tokens=size),
    )  # fmt: skip
    wanted = None
    if state is not None:
        record, planned = made_plan(record, rows, state)
        if record.step is not None:
            save_plan(record, planned)
            wanted = planned.embed
    record, twins = find_twins(record, rows, wanted, state)
    if twins is not None:
        save_twins(record, twins)
    return record, rows


def ran(table, corpus, run, **options):
    """One whole run; gives its record and the keys of the chunks that got a vector."""
    record, rows = prepared(table, corpus, run, **options)
    if record.unchanged:
        return record, []
    keys = []
    twins = twins_of(record, rows)
    for job in cut(to_embed(record, rows, twins), limits=JobLimits(rows=2)):
        receipt = a_receipt(record, job.job).model_copy(update={"source": job.source})
        write_part(job.rows, encoded(job.rows), record=record, receipt=receipt)
        keys += zip(job.rows.column("id").to_pylist(), job.rows.column("chunk").to_pylist(), strict=True)
    copied = copy_vectors(record, rows, twins)
    commit(record, list_parts(record.table, record.run), copied)
    for file in copied.files:
        found = pq.read_table(Path(record.table) / file.path)
        keys += zip(found.column("id").to_pylist(), found.column("chunk").to_pylist(), strict=True)
    return record, keys


def held(table):
    """The chunks of each id, in order, as place and text."""
    found = {}
    columns = ["id", "chunk", "start", "end", "text"]
    for row in sorted(DeltaTable(table).to_pyarrow_table(columns=columns).to_pylist(), key=lambda row: row["chunk"]):
        chunks = found.setdefault(row["id"], [])
        assert row["chunk"] == len(chunks), "no chunk is missing and none is there twice"
        chunks.append((row["start"], row["end"], row["text"]))
    return found


def pieces(text, size=3):
    return [(start, end, text[start:end]) for start, end in ByLetters(size).spans([text])[0]]


@settings(max_examples=20, deadline=None)
@given(runs=st.lists(st.tuples(st.sampled_from(["upsert", "sync"]), CORPUS), min_size=1, max_size=4))
def test_a_table_of_chunks_is_what_its_runs_say(runs):
    with TemporaryDirectory() as folder:
        table, model = Path(folder) / "t", {}
        ran(table, {"d0": "abcabcab", "d9": "abab"}, "run-0")
        model = {"d0": "abcabcab", "d9": "abab"}
        for number, (mode, corpus) in enumerate(runs, start=1):
            record, keys = ran(table, corpus, f"run-{number}", mode=mode)
            assert (record.source_rows, len(keys)) == (len(corpus), record.changes.embed)
            known = {id_: text for id_, text in corpus.items() if text is not None}
            # A row that cannot be read keeps what the table has of it, all of its chunks.
            unread = {id_: model[id_] for id_ in corpus if corpus[id_] is None and id_ in model}
            model = {**(model if mode == "upsert" else unread), **known}
            assert held(table) == {id_: pieces(text) for id_, text in model.items()}


def test_only_chunks_that_changed_or_moved_are_embedded(tmp_path):
    ran(tmp_path / "t", {"d0": "aaabbbccc", "d1": "xyz"}, "run-1")
    record, keys = ran(tmp_path / "t", {"d0": "aaabbxccc", "d1": "xyz"}, "run-2")
    assert (keys, record.changes.reused, record.changes.deleted) == ([("d0", 1)], 3, 0)
    record, keys = ran(tmp_path / "t", {"d0": "aaa", "d1": "xyz"}, "run-3")
    assert (keys, record.changes.deleted, record.changes.absent) == ([], 2, 0)
    assert ran(tmp_path / "t", {"d0": "aaa", "d1": "xyz"}, "run-4")[0].unchanged
    assert held(tmp_path / "t") == {"d0": [(0, 3, "aaa")], "d1": [(0, 3, "xyz")]}


def test_a_chunk_that_only_moved_has_its_new_place(tmp_path):
    ran(tmp_path / "t", {"d0": "one two"}, "run-1", splits=ByWords())
    assert ran(tmp_path / "t", {"d0": "three two"}, "run-2", splits=ByWords())[1] == [("d0", 0), ("d0", 1)]
    assert count_twins(str(tmp_path / "t"), "run-2").rows == 1, "a chunk that only moved is not encoded again"
    assert held(tmp_path / "t") == {"d0": [(0, 5, "three"), (6, 9, "two")]}


def test_texts_cut_smaller_are_embedded_again(tmp_path):
    ran(tmp_path / "t", {"d0": "aaaaaa"}, "run-1", size=3)
    ran(tmp_path / "t", {"d0": "aaaaaa"}, "run-2", size=2)
    assert held(tmp_path / "t") == {"d0": pieces("aaaaaa", 2)}


def test_shorter_texts_do_not_stand_in_the_way_of_another_model(tmp_path):
    ran(tmp_path / "t", {"d0": "aaabbbccc", "d1": "xyz"}, "run-1")
    state, spec = open_table(str(tmp_path / "t")), a_spec(prompt="x")
    record, _ = prepared(tmp_path / "t", {"d0": "aaa", "d1": "xyz"}, "run-2", spec=spec)
    assert record.changes.absent == 0
    record, _ = prepared(tmp_path / "t", {"d0": "aaa"}, "run-2", spec=spec)
    with pytest.raises(TableError, match="1 of its rows"):
        check_covered(record.table, state=state, spec=spec, mode="upsert", absent=record.changes.absent)
    ran(tmp_path / "t", {"d0": "aaa", "d1": "xyz"}, "run-3", spec=spec)
    assert held(tmp_path / "t") == {"d0": [(0, 3, "aaa")], "d1": [(0, 3, "xyz")]}


def test_two_upserts_at_once_do_not_mix_the_chunks_of_a_text(tmp_path):
    ran(tmp_path / "t", {"d0": "aaabbbccc"}, "run-1")
    record, rows = prepared(tmp_path / "t", {"d0": "aaaxxxccc"}, "run-2")
    for job in cut(to_embed(record, rows, twins_of(record, rows)), limits=JobLimits()):
        receipt = a_receipt(record, job.job).model_copy(update={"source": job.source})
        write_part(job.rows, encoded(job.rows), record=record, receipt=receipt)
    ran(tmp_path / "t", {"d0": "yyy"}, "run-3")
    with pytest.raises(TableError, match="run-3"):
        commit(record, list_parts(record.table, record.run))
    assert held(tmp_path / "t") == {"d0": [(0, 3, "yyy")]}


def test_verify_finds_the_texts_of_chunks_in_the_source(tmp_path):
    record, _ = ran(tmp_path / "t", {"d0": "aaabbbccc", "d1": "xyz"}, "run-1")
    without_text = record.model_copy(update={"source": record.source.model_copy(update={"keep_text": False})})
    (tmp_path / "t" / "_runs").mkdir(exist_ok=True)
    (tmp_path / "t" / record.path).write_text(without_text.model_dump_json())
    for part in (tmp_path / "t" / "run-1").glob("*.parquet"):
        table = pq.read_table(part)
        footer = pq.read_metadata(part).metadata
        pq.write_table(table.drop_columns(["text"]).replace_schema_metadata(footer), part)
    assert [one.detail for one in verify(str(tmp_path / "t"), sample=9, encode=encode)] == []
    (tmp_path / "corpus.jsonl").write_text('{"id": "d0", "text": "aaabbbccx"}\n{"id": "d1", "text": "xyz"}\n')
    found = [one.detail for one in verify(str(tmp_path / "t"), sample=9, encode=encode)]
    assert found == ["its text is not the one that was embedded"]
