"""A text is encoded once, wherever it comes again: every row gets the vector of its own text, and its own columns."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.jobs import JobLimits, cut
from producer.plan import to_embed
from producer.table import commit, count_twins, history, list_parts, open_table, read
from producer.table import donors as donating
from producer.table import twins as writing
from producer.table.compact import compact
from producer.table.log import live_files, open_log
from producer.twins import copy_vectors, twins_of
from schemas.arrow import ERRORS_SCHEMA
from schemas.errors import RunFailed, UsageError
from schemas.run import SourceOptions
from schemas.store import Ranges
from tests.unit.parts import a_receipt, a_spec, encode, encoded
from tests.unit.source.corpora import opened
from tests.unit.table.test_upsert import begun, finish, held, ran, source_of, worked
from worker.output import write_part
from worker.output.part import Failure

CORPUS = st.dictionaries(st.integers(0, 40).map("d{}".format), st.sampled_from(["one", "two", "three"]), min_size=1)


@settings(max_examples=10, deadline=None)
@given(runs=st.lists(CORPUS, min_size=1, max_size=3))
def test_no_text_is_encoded_twice(tmp_path_factory, runs):
    folder = tmp_path_factory.mktemp("twins")
    model, seen = {}, set()
    for number, corpus in enumerate(runs):
        source = source_of(folder, corpus)
        record = begun(folder / "t", source, f"run-{number}")
        if record.unchanged:
            continue
        texts = [corpus[id_] for id_ in worked(record, source)]
        assert len(texts) == record.rows_to_embed
        assert len(set(texts)) == len(texts)
        assert not seen.intersection(texts), "what the table has is not encoded"
        finish(record, source)
        model |= corpus
        seen = set(model.values())
        assert held(folder / "t") == model


@pytest.fixture
def table(tmp_path):
    """Ten rows of ten texts."""
    ran(tmp_path / "t", source_of(tmp_path, {f"d{n}": f"text {n}" for n in range(10)}), "run-1")
    return tmp_path / "t"


def test_new_ids_of_old_texts_need_no_job(table, tmp_path):
    renamed = {f"e{n}": f"text {n}" for n in range(10)}
    source = source_of(tmp_path, renamed)
    record = begun(table, source, "run-2", mode="sync")
    assert (record.twins.rows, record.rows_to_embed, record.end) == (10, 0, 0)
    twins = copy_vectors(record, source, twins_of(record, source))
    assert commit(record, [], twins) == 1
    assert held(table) == renamed
    assert count_twins(str(table), "run-2")[:2] == (10, 0)
    assert (history(str(table))[0].rows, history(str(table))[0].deleted) == (10, 10)


def test_donors_may_lie_in_merged_files_and_may_be_changed_themselves(table, tmp_path):
    compact(str(table))
    swapped = {f"d{n}": f"text {9 - n}" for n in range(10)}
    source = source_of(tmp_path, swapped)
    assert begun(table, source, "run-2").rows_to_embed == 0
    ran(table, source, "run-2")
    assert held(table) == swapped


def test_another_model_takes_nothing_from_the_table(table, tmp_path):
    source = source_of(tmp_path, {f"d{n}": f"text {n % 5}" for n in range(10)})
    record = begun(table, source, "run-2", spec=a_spec(content="another"))
    assert (record.rows_to_embed, record.twins.rows) == (5, 5)
    record = begun(table, source, "run-3", mode="replace")
    assert (record.rows_to_embed, record.twins.rows) == (5, 5)
    worked(record, source)
    finish(record, source)
    assert held(table) == {f"d{n}": f"text {n % 5}" for n in range(10)}


def test_many_twins_of_one_row_are_written_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(donating, "BATCH_ROWS", 4)
    monkeypatch.setattr(writing, "BATCH_ROWS", 4)
    monkeypatch.setattr(writing, "_FILE_BATCHES", 2)
    corpus = {f"d{n:02}": ("one" if n % 7 else f"text {n // 7}") for n in range(40)}
    ran(tmp_path / "t", source_of(tmp_path, corpus), "run-1")
    assert held(tmp_path / "t") == corpus
    sizes = [
        file.rows for file in live_files(open_log(str(tmp_path / "t")), str(tmp_path / "t")) if "twins-" in file.path
    ]
    assert sizes == [8, 8, 8, 8, 1]


def test_twins_have_columns_of_their_own(tmp_path):
    path = tmp_path / "corpus.jsonl"
    rows = [{"id": f"d{n}", "text": f"text {n % 3}", "year": n, "tags": [str(n)]} for n in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = SourceOptions(paths=(str(path),), keep=("year", "tags"), keep_text=True)
    source = opened(path, keep=("year", "tags"))
    record = begun(tmp_path / "t", source, "run-1", source=options)
    worked(record, source)
    finish(record, source)
    found = {}
    for file in live_files(open_log(str(tmp_path / "t")), str(tmp_path / "t")):
        found |= {row["id"]: row for row in pq.read_table(file.path).to_pylist()}
    assert len(found) == 9
    for row in rows:
        mine = found[row["id"]]
        assert (mine["text"], mine["year"], mine["tags"], mine["chunk"]) == (row["text"], row["year"], row["tags"], 0)
        assert np.array_equal(np.array(mine["embedding"], np.float32), encode([row["text"]])[0])
        assert (mine["n_tokens"], mine["truncated"]) == (len(row["text"]), True)


@pytest.mark.parametrize("store", ["int8", "binary"])
def test_codes_are_copied_as_they_are(tmp_path, store):
    corpus = {f"d{n}": f"text {n % 4}" for n in range(12)}
    ranges = Ranges.of(encode(sorted(set(corpus.values()))))
    source = source_of(tmp_path, corpus)
    record = begun(tmp_path / "t", source, "run-1", store=store, ranges=None if store == "binary" else ranges)
    worked(record, source)
    finish(record, source)
    ids, codes = read(str(tmp_path / "t"), codes=True)
    by_text = {}
    for id_, code in zip(ids, codes, strict=True):
        by_text.setdefault(corpus[id_], set()).add(code.tobytes())
    assert len(ids) == 12
    assert [len(found) for found in by_text.values()] == [1, 1, 1, 1]


def failing(record, source, text):
    """The parts of a run in which one text cannot be encoded."""
    for job in cut(to_embed(record, source, twins_of(record, source)), limits=JobLimits(rows=3)):
        bad = {at: Failure("encode", "too odd") for at, one in enumerate(job.rows["text"].to_pylist()) if one == text}
        receipt = a_receipt(record, job.job).model_copy(update={"source": job.source})
        write_part(job.rows, encoded(job.rows, failures=bad), record=record, receipt=receipt)


def test_twins_of_a_row_that_failed_fail_and_are_tried_again(tmp_path):
    corpus = {f"d{n}": f"text {n % 4}" for n in range(12)}
    source = source_of(tmp_path, corpus)
    record = begun(tmp_path / "t", source, "run-1")
    failing(record, source, "text 2")
    twins = finish(record, source)
    assert (twins.rows, twins.failed) == (6, 2)
    assert count_twins(record.table, "run-1")[:2] == (6, 2)
    errors = pq.read_table(tmp_path / "t" / "_errors" / "run-1" / "twins.parquet")
    assert errors.schema == ERRORS_SCHEMA
    assert errors.column("id").to_pylist() == ["d6", "d10"]
    good = {id_: text for id_, text in corpus.items() if text != "text 2"}
    assert held(tmp_path / "t") == good
    again = begun(tmp_path / "t", source, "run-2")
    assert (again.changes.new, again.rows_to_embed, again.twins.rows) == (3, 1, 2)
    worked(again, source)
    finish(again, source)
    assert held(tmp_path / "t") == corpus


def test_repeating_the_end_of_a_run_writes_the_same(tmp_path):
    source = source_of(tmp_path, {f"d{n}": f"text {n % 4}" for n in range(12)})
    record = begun(tmp_path / "t", source, "run-1")
    worked(record, source)
    twins = [copy_vectors(record, source, twins_of(record, source)) for _ in range(2)]
    assert twins[0] == twins[1]
    assert commit(record, list_parts(record.table, "run-1"), twins[0]) == 0
    assert commit(record, list_parts(record.table, "run-1"), twins[1]) == 0


def test_a_commit_without_the_twins_is_refused(tmp_path):
    source = source_of(tmp_path, {f"d{n}": f"text {n % 4}" for n in range(12)})
    record = begun(tmp_path / "t", source, "run-1")
    worked(record, source)
    with pytest.raises(RunFailed, match="of 8 rows that share a text, 0 have a vector"):
        commit(record, list_parts(record.table, "run-1"))
    assert open_table(record.table) is None


def test_lost_twins_are_found_again(table, tmp_path):
    source = source_of(tmp_path, {"a": "text 1", "b": "one", "c": "one"})
    record = begun(table, source, "run-2")
    kept = twins_of(record, source)
    (table / record.twins_path).write_bytes(b"torn file")
    assert twins_of(record, source).dump() == kept.dump()
    (table / record.twins_path).unlink()
    other = record.model_copy(update={"twins": record.twins.model_copy(update={"digest": "another"})})
    with pytest.raises(UsageError, match=r"run-2.twins in .* is lost"):
        twins_of(other, source)
