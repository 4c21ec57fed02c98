import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.arrow import ERRORS_SCHEMA
from schemas.files import written
from schemas.receipt import RECEIPT_KEY, SPEC_KEY, Receipt
from schemas.run import SourceOptions
from schemas.spec import Spec
from schemas.text import text_hash
from tests.unit.parts import DIMS, a_payload, a_receipt, a_record, a_spec, encode, encoded, write_job
from worker.output import Encoded, Failure, read_receipt, write_part
from worker.output.vectors import vector_column

TEXTS = ["one", "two", "three three", "vier"]


def test_a_part_holds_what_was_encoded(tmp_path):
    kept = {"year": pa.array([1, None, 3, 4], pa.int32()), "tags": pa.array([["a"], [], None, ["b"]])}
    record = a_record(tmp_path, source=SourceOptions(paths=("x",), keep=("year", "tags"), keep_text=True))
    table = pq.read_table(write_job(record, 3, a_payload(TEXTS, kept=kept)), partitioning=None)
    assert table.column_names == [
        "id", "chunk", "year", "tags", "text", "n_tokens", "truncated", "text_hash", "embedding",
    ]  # fmt: skip
    assert table.column("id").to_pylist() == ["d0", "d1", "d2", "d3"]
    assert table.column("text").to_pylist() == TEXTS
    assert table.column("year").to_pylist() == [1, None, 3, 4]
    assert table.column("tags").to_pylist() == [["a"], [], None, ["b"]]
    assert table.column("truncated").to_pylist() == [False, False, True, False]
    assert table.column("text_hash").to_pylist() == [text_hash(text) for text in TEXTS]
    assert np.array_equal(np.array(table.column("embedding").to_pylist(), np.float32), encode(TEXTS))


def test_the_footer_carries_receipt_spec_and_versions(tmp_path):
    record = a_record(tmp_path)
    path = write_job(record, 7, a_payload(TEXTS))
    metadata = pq.read_metadata(path).metadata
    receipt = Receipt.model_validate_json(metadata[RECEIPT_KEY])
    assert (receipt.job, receipt.rows, receipt.failed, receipt.truncated, receipt.tokens) == (7, 4, 0, 1, 21)
    assert receipt.durable_at > receipt.claimed_at
    assert receipt.seconds.write > 0
    assert Spec.model_validate_json(metadata[SPEC_KEY]).fingerprint == record.spec.fingerprint == receipt.fingerprint
    assert json.loads(metadata[b"vecmill.versions"])["pyarrow"] == pa.__version__
    assert b"ARROW:schema" in metadata
    assert read_receipt(path) == receipt


def test_vectors_have_no_dictionary_and_no_statistics(tmp_path):
    group = pq.read_metadata(write_job(a_record(tmp_path), 0, a_payload(TEXTS))).row_group(0)
    columns = {group.column(n).path_in_schema: group.column(n) for n in range(group.num_columns)}
    vectors = columns["embedding.list.element"]
    assert "BYTE_STREAM_SPLIT" in vectors.encodings
    assert not vectors.has_dictionary_page
    assert not vectors.is_stats_set
    assert columns["id"].statistics.max == "d3"


def test_the_vector_column_shares_memory():
    block = np.ones((3, 4), np.float32)
    values = vector_column(block).values
    assert np.shares_memory(values.to_numpy(zero_copy_only=True), block)


@pytest.mark.parametrize("store", ["bfloat16", "float16"])
def test_stored_precision_is_that_of_torch(tmp_path, store):
    import torch

    payload = a_payload([f"t{n}" for n in range(500)])
    ties = np.array([[1 + k * 2.0**-8 for k in range(DIMS)], [-1 - k * 2.0**-9 for k in range(DIMS)]], np.float32)
    vectors = np.concatenate([encode([f"t{n}" for n in range(498)]), ties])
    path = write_job(a_record(tmp_path, store=store), 0, payload, vectors=vectors)
    stored = pq.read_table(path, partitioning=None).column("embedding")
    assert stored.type.value_type == pa.float32()
    expected = torch.from_numpy(vectors).to(getattr(torch, store)).to(torch.float32).numpy()
    assert np.array_equal(np.array(stored.to_pylist(), np.float32), expected)


def test_failed_rows_are_written_beside_and_their_neighbours_stay(tmp_path):
    record = a_record(tmp_path)
    payload = a_payload(["a", None, "b", "c", "d"], problems=[None, "x line 2: the text is null", None, None, None])
    vectors = encode(["a", "b", "c", "d"])
    vectors[3, 0] = np.nan
    path = write_job(record, 0, payload, vectors=vectors, failures={1: Failure("too_long", "does not fit")})
    table = pq.read_table(path, partitioning=None)
    assert table.column("id").to_pylist() == ["d0", "d3"]
    assert np.array_equal(np.array(table.column("embedding").to_pylist(), np.float32), encode(["a", "c"]))
    failed = pq.read_table(tmp_path / "_errors" / "run-1" / "part-00000000.parquet", partitioning=None)
    assert failed.schema.remove_metadata() == ERRORS_SCHEMA
    assert [tuple(row.values())[::2] for row in failed.to_pylist()] == [
        ("d1", "source"),
        ("d2", "too_long"),
        ("d4", "not_finite"),
    ]
    receipt = read_receipt(path)
    assert (receipt.rows, receipt.failed) == (2, 3)


def test_a_value_that_float16_cannot_hold_is_a_failed_row(tmp_path):
    vectors = np.array([[70000.0] * DIMS, [1.0] * DIMS], np.float32)
    receipt = read_receipt(write_job(a_record(tmp_path, store="float16"), 0, a_payload(["a", "b"]), vectors=vectors))
    assert (receipt.rows, receipt.failed) == (1, 1)


def test_a_job_without_a_good_row_still_has_its_part(tmp_path):
    path = write_job(a_record(tmp_path), 0, a_payload([None], problems=["no text"]))
    receipt = read_receipt(path)
    assert (receipt.rows, receipt.failed, receipt.tokens) == (0, 1, 0)
    assert pq.read_table(path, partitioning=None).schema.field("embedding").type.value_type == pa.float32()


def test_failed_rows_of_an_earlier_attempt_do_not_stay(tmp_path):
    record = a_record(tmp_path)
    # The attempt was killed between its failed rows and its part.
    os.unlink(write_job(record, 0, a_payload(["a"]), failures={0: Failure("oom", "x")}))
    assert os.listdir(tmp_path / "_errors" / "run-1")
    write_job(record, 0, a_payload(["a"]))
    assert os.listdir(tmp_path / "_errors" / "run-1") == []


def test_wrong_counts_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="4 rows to encode, but 1 vectors"):
        write_job(a_record(tmp_path), 0, a_payload(TEXTS), vectors=encode(["one"]))


@pytest.mark.parametrize("looks", [[], [None]], ids=["it is there", "it comes between our look and our write"])
def test_a_later_attempt_changes_neither_the_part_nor_what_failed(tmp_path, monkeypatch, looks):
    record = a_record(tmp_path)
    path = write_job(record, 0, a_payload(["a", "b"]), failures={0: Failure("oom", "x")})
    receipt, content = read_receipt(path), Path(path).read_bytes()
    seen = iter(looks)
    monkeypatch.setattr("worker.output.write.read_receipt", lambda path: next(seen, receipt))
    payload = a_payload(["a", "b"])
    assert write_part(payload, encoded(payload), record=record, receipt=a_receipt(record)) == receipt
    assert Path(path).read_bytes() == content
    assert os.listdir(tmp_path / "_errors" / "run-1") == ["part-00000000.parquet"]


def test_what_is_no_part_of_the_run_is_written_over(tmp_path):
    other = a_record(tmp_path, spec=a_spec(content="beef"))
    write_job(other, 0, a_payload(["a"]))
    record = a_record(tmp_path)
    receipt = read_receipt(write_job(record, 0, a_payload(["b"])))
    assert receipt.fingerprint == record.spec.fingerprint


def test_failed_rows_come_before_the_part_and_nothing_half_written_stays(tmp_path, monkeypatch):
    order = []

    def watched(path, **options):
        order.append(os.path.relpath(path, tmp_path))
        return written(path, **options)

    monkeypatch.setattr("worker.output.write.written", watched)
    record = a_record(tmp_path)
    payload = a_payload(["a", None], problems=[None, "null"])
    write_part(payload, encoded(payload), record=record, receipt=a_receipt(record))
    assert order == ["_errors/run-1/part-00000000.parquet", "run-1/part-00000000.parquet"]
    assert os.listdir(tmp_path / "run-1") == ["part-00000000.parquet"]


def test_a_write_that_breaks_leaves_the_old_file_and_no_other(tmp_path):
    path = str(tmp_path / "a" / "b")
    with written(path) as stream:
        stream.write(b"old")
    with pytest.raises(RuntimeError):
        _write_and_break(path)
    assert os.listdir(tmp_path / "a") == ["b"]
    assert (tmp_path / "a" / "b").read_bytes() == b"old"


@pytest.mark.parametrize("cut", [0, 3, 100, -200, -9, -1])
def test_a_torn_part_is_not_there(tmp_path, cut):
    path = write_job(a_record(tmp_path), 0, a_payload(TEXTS))
    with open(path, "rb") as stream:
        data = stream.read()
    with open(path, "wb") as stream:
        stream.write(data[:cut])
    assert read_receipt(path) is None


def test_a_missing_or_foreign_file_has_no_receipt(tmp_path):
    assert read_receipt(str(tmp_path / "none.parquet")) is None
    pq.write_table(pa.table({"a": [1]}), tmp_path / "foreign.parquet")
    assert read_receipt(str(tmp_path / "foreign.parquet")) is None


def _write_and_break(path):
    with written(path) as stream:
        stream.write(b"new")
        assert len(os.listdir(os.path.dirname(path))) == 2
        raise RuntimeError


def test_a_reader_of_encoded_needs_no_failures():
    assert Encoded(encode(["a"]), np.zeros(1, np.int32), np.zeros(1, np.bool_)).failures == {}
