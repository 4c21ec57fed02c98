"""A sound table has no findings; each kind of damage has its own."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from producer.query import search
from producer.table import commit, list_parts, read
from producer.verify import verify
from producer.verify.verify import coarsest
from schemas.errors import TableError
from schemas.job import part_path
from schemas.run import SourceOptions
from tests.unit.parts import a_payload, a_record, a_spec, encode, write_job
from tests.unit.source.corpora import write_jsonl
from tests.unit.table.test_commit import TEXTS, committed


@pytest.fixture
def record(tmp_path):
    """A table of 25 rows whose texts are in a source, not in the table."""
    corpus = write_jsonl(tmp_path / "corpus.jsonl", [{"id": f"d{n}", "text": text} for n, text in enumerate(TEXTS)])
    record = a_record(tmp_path / "t", rows=25, source=SourceOptions(paths=(str(corpus),)))
    committed(record)
    (tmp_path / "t" / "_runs").mkdir()
    (tmp_path / "t" / record.path).write_text(record.model_dump_json())
    return record


def found(record, sample=25, encode=encode):
    return list(verify(record.table, sample=sample, encode=encode))


def damage(record, job, **columns):
    """Write a part again with other columns, its footer as it was."""
    path = f"{record.table}/{part_path(record.run, job)}"
    table = pq.ParquetFile(path).read()
    for name, values in columns.items():
        field = table.schema.field(name).with_nullable(True)
        type_ = pa.list_(pa.float32()) if name == "embedding" else field.type
        table = table.set_column(table.schema.get_field_index(name), pa.field(name, type_), pa.array(values, type_))
    pq.write_table(table, path)


def vectors(record, job):
    return [list(row) for row in encode(TEXTS[job * 10 : job * 10 + 10])]


def test_a_sound_table_has_no_findings(record):
    assert found(record) == []


def test_texts_in_the_table_need_no_source(tmp_path):
    kept = a_record(tmp_path / "t", rows=25, source=SourceOptions(paths=("gone",), keep_text=True))
    committed(kept)
    assert found(kept) == []
    assert len(found(kept, encode=lambda texts: -encode(texts))) == 25


def test_without_texts_and_record_the_sample_is_told_not_compared(tmp_path):
    bare = a_record(tmp_path / "t", rows=25)
    committed(bare)
    assert [one.check for one in found(bare)] == ["sample"]


def test_missing_and_torn_files_are_found(record, tmp_path):
    (tmp_path / "t" / part_path("run-1", 0)).unlink()
    torn = tmp_path / "t" / part_path("run-1", 2)
    torn.write_bytes(torn.read_bytes()[:-30])
    findings = found(record)
    assert [(one.check, one.where[-16:]) for one in findings] == [
        ("file", "00000000.parquet"),
        ("file", "00000002.parquet"),
    ]
    assert "missing" in findings[0].detail


def test_rows_that_the_log_does_not_count_are_found(record):
    path = f"{record.table}/{part_path(record.run, 0)}"
    pq.write_table(pq.ParquetFile(path).read().slice(0, 9), path)
    assert [(one.check, one.detail) for one in found(record)] == [("rows", "9 rows, but the log says 10")]


def test_duplicate_chunks_are_found(record):
    damage(record, 1, id=["d10"] * 3 + [f"d{n}" for n in range(13, 20)])
    duplicates = [one for one in found(record, sample=0) if one.check == "duplicates"]
    assert [(one.where, one.detail) for one in duplicates] == [("d10", "chunk 0 is there 3 times")]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda rows: [None, *rows[1:]], "1 vectors are null"),
        (lambda rows: [rows[0][:-1], rows[1][:-1], *rows[2:]], "2 vectors are not 8 wide"),
        (lambda rows: [[np.nan] * 8, *rows[1:]], "1 vectors have null, NaN or infinite elements"),
        (lambda rows: [[None] * 8, *rows[1:]], "1 vectors have null, NaN or infinite elements"),
        (lambda rows: [[2.0] * 8, [0.0] * 8, *rows[2:]], "2 vectors should have norm 1 and have not"),
    ],
)
def test_bad_vectors_are_counted(record, change, detail):
    damage(record, 1, embedding=change(vectors(record, 1)))
    assert [one.detail for one in found(record, sample=0)] == [detail]


def test_hashes_that_are_none_are_found(record):
    damage(record, 0, text_hash=[b"", None] + [b"x" * 16] * 8)
    assert [one.detail for one in found(record, sample=0)] == ["2 text hashes are not 16 bytes"]


def test_vectors_of_another_model_are_found_in_a_sample(record):
    damage(record, 1, embedding=[vectors(record, 1)[0]] * 10)
    assert sorted(one.where for one in found(record)) == [f"d{n}" for n in range(11, 20)]
    assert len(found(record, sample=5)) < 9


def test_changed_and_lost_texts_are_told_apart(record, tmp_path):
    rows = [{"id": f"d{n}", "text": text} for n, text in enumerate(TEXTS) if n != 3]
    rows[0]["text"] = "another"
    write_jsonl(tmp_path / "corpus.jsonl", rows)
    assert {one.where: one.detail for one in found(record)} == {
        "d0": "its text is not the one that was embedded",
        "d3": "the row is no longer in the source",
    }


@pytest.mark.parametrize("store", ["bfloat16", "float16"])
def test_rounded_vectors_are_no_finding(tmp_path, store):
    source = SourceOptions(paths=("gone",), keep_text=True)
    rounded = a_record(tmp_path / "t", rows=25, store=store, source=source)
    committed(rounded)
    (tmp_path / "t" / "_runs").mkdir()
    (tmp_path / "t" / rounded.path).write_text(rounded.model_dump_json())
    assert found(rounded) == []


def test_vectors_that_need_no_norm_are_not_asked_for_one(tmp_path):
    loose = a_record(
        tmp_path / "t", rows=1, spec=a_spec(normalize=False), source=SourceOptions(paths=("x",), keep_text=True)
    )
    write_job(loose, 0, a_payload(["a"]), vectors=encode(["a"]) * 5)
    commit(loose, list_parts(loose.table, loose.run))
    assert found(loose) == []


def test_a_compacted_table_is_sound_and_says_the_same(record):
    before = read(record.table)
    DeltaTable(record.table).optimize.compact()
    assert len(DeltaTable(record.table).file_uris()) == 1
    ids, vectors = read(record.table)
    order = np.argsort([int(id_[1:]) for id_ in ids])
    assert [ids[n] for n in order] == before[0]
    assert np.array_equal(vectors[order], before[1])
    assert found(record) == []
    assert [hit.id for hit in search(record.table, before[1][3], k=1)] == ["d3"]


def test_a_table_of_parts_and_a_compacted_file_is_sound(tmp_path):
    kept = a_record(tmp_path / "t", rows=25, source=SourceOptions(paths=("gone",), keep_text=True))
    committed(kept)
    table = DeltaTable(kept.table)
    table.optimize.compact()
    part = next(iter(list_parts(kept.table, kept.run)))
    table.create_write_transaction(
        [AddAction(part.path, part.size_bytes, {}, 0, True, "{}")], "append", table.schema(), partition_by=[]
    )
    assert {one.check for one in found(kept)} == {"duplicates"}
    assert len(search(kept.table, encode(["x"])[0], k=40)) == 35


def test_there_is_nothing_to_verify_without_a_table(tmp_path):
    with pytest.raises(TableError, match="no table"):
        list(verify(str(tmp_path), sample=1, encode=encode))


@pytest.mark.parametrize(
    ("store", "dtypes", "expected"),
    [
        ("int8", ["float32"], "float32"),
        ("float32", ["int8", "bfloat16"], "int8"),
        ("bfloat16", ["float32"], "bfloat16"),
        ("int8", ["int8"], "int8"),
    ],
)
def test_a_store_of_int8_is_no_computing_in_int8(store, dtypes, expected):
    assert coarsest(store, *dtypes) == expected
