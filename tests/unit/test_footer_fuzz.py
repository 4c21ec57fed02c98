"""Whatever lies in a part's place is a part, or none; what its footer says of its run and job is checked."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.records import find, of_table
from producer.table import list_parts
from schemas.errors import TableError, UsageError
from schemas.footer import read_footer
from schemas.receipt import RECEIPT_KEY
from tests.unit.parts import a_payload, a_receipt, a_record, write_job
from tests.unit.test_message import anything
from tests.unit.test_run_records import WHOLE, places, replaced
from worker.output.write import durable_receipt

pytestmark = pytest.mark.fuzz

repeated = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    record = a_record(tmp_path_factory.mktemp("table"))
    return Path(write_job(record, 0, a_payload(["a", "b", "c"]))).read_bytes()


def read(folder: Path, data: bytes) -> None:
    path = folder / "run-1" / "part-00000000.parquet"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    footer = read_footer(str(path))
    found = list_parts(str(folder), "run-1")
    assert len(found) <= (footer is not None)
    assert all((part.receipt.run, part.receipt.job) == ("run-1", 0) for part in found)
    durable_receipt(str(path), a_record(folder))


@repeated
@given(
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, 2**16),
)
def test_wrong_and_missing_bytes(tmp_path: Path, part: bytes, changes: list[tuple[int, int]], cut: int | None) -> None:
    data = bytearray(part)
    for at, byte in changes:
        # From the end: there the footer is.
        data[-1 - at % len(data)] = byte
    read(tmp_path, bytes(data if cut is None else data[: cut % len(data)]))


RECEIPT = json.loads(a_receipt(a_record("/t")).model_dump_json())


@repeated
@given(place=st.sampled_from(places(RECEIPT)), by=anything)
def test_a_receipt_with_another_value(tmp_path: Path, place: tuple[Any, ...], by: Any) -> None:
    sink = pa.BufferOutputStream()
    told = {RECEIPT_KEY: json.dumps(replaced(RECEIPT, place, by))}
    pq.write_table(pa.table({"id": ["a"]}).replace_schema_metadata(told), sink)
    read(tmp_path, sink.getvalue().to_pybytes())


@repeated
@given(place=st.sampled_from(places(WHOLE)), by=anything)
def test_a_record_on_the_disk_with_another_value(tmp_path: Path, place: tuple[Any, ...], by: Any) -> None:
    path = tmp_path / "_runs" / "run-1.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(replaced(WHOLE, place, by)))
    assert len(list(of_table(str(tmp_path)))) <= 1
    with contextlib.suppress(UsageError):
        assert find(str(tmp_path)).run


@pytest.mark.timeout(60)
def test_what_is_no_file_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    os.mkfifo(tmp_path / "run-1" / "part-00000000.parquet")
    with pytest.raises(TableError, match="is a named pipe, not a file"):
        list_parts(str(tmp_path), "run-1")
    (tmp_path / "_runs").mkdir()
    os.mkfifo(tmp_path / "_runs" / "run-1.json")
    with pytest.raises(TableError, match="is a named pipe, not a file"):
        list(of_table(str(tmp_path)))
