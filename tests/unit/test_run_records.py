"""The record of a run, as a worker finds it in Redis: read and allowed, or refused; and where its links may lead."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.job import Job
from schemas.run import RunRecord
from tests.unit.parts import a_record, a_spec
from tests.unit.test_message import anything
from worker.runs import Runs
from worker.settings import Refused, WorkerSettings

pytestmark = pytest.mark.fuzz

JOB = Job(run="run-1", job=3)


class OneRecord:
    """A ledger that knows one record, whatever is asked for."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def record(self, _run: str) -> bytes:
        return self.text


def read(text: bytes, root: str | Path = "/data") -> RunRecord:
    settings = WorkerSettings(broker_url="redis://x", allow_roots=(str(root),))
    return Runs(OneRecord(text), settings).record(JOB)


def record_at(table: str | Path, **changes: Any) -> bytes:
    return a_record(table, **changes).model_dump_json().encode()


def places(value: Any) -> list[tuple[Any, ...]]:
    """Every place inside a JSON value, by the keys that lead there."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(), *((key, *rest) for key, one in inner for rest in places(one))]


def replaced(value: Any, place: tuple[Any, ...], by: Any) -> Any:
    if not place:
        return by
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], by)
    return changed


WHOLE = json.loads(record_at("/data/t", spec=a_spec(model="a/model")))


def test_a_record_is_read() -> None:
    assert read(record_at("/data/t")) == a_record("/data/t")


def test_the_record_of_another_run_is_refused() -> None:
    with pytest.raises(Refused, match="that of another run"):
        read(record_at("/data/t", run="run-2"))


@given(place=st.sampled_from(places(WHOLE)), by=anything)
def test_a_record_with_another_value_in_a_place_is_read_or_refused(place: tuple[Any, ...], by: Any) -> None:
    try:
        record = read(json.dumps(replaced(WHOLE, place, by)).encode())
    except Refused:
        return
    assert record.run == "run-1"
    assert record.table.startswith("/data")
    assert not record.spec.trust_remote_code
    assert len(record.spec.fingerprint) == 32


@given(st.binary(max_size=200))
def test_garbage_is_refused(text: bytes) -> None:
    with pytest.raises(Refused):
        read(text)


@pytest.mark.parametrize("deep", [b"[", b'{"spec":', b'{"run":['])
def test_depth_is_refused(deep: bytes) -> None:
    with pytest.raises(Refused):
        read(deep * 200_000)


def test_what_is_wrong_is_said_without_a_word_of_it() -> None:
    with pytest.raises(Refused) as refusal:
        read(json.dumps(WHOLE | {"secret words": "secret value", "rows": "secret number"}).encode())
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("link", ["t/run-1", "t/_errors", "t/_errors/run-1", "t/run-1/part-00000003.parquet"])
def test_a_link_inside_the_table_that_leads_out_is_refused(tmp_path: Path, link: str) -> None:
    text, root = record_at(tmp_path / "data" / "t"), tmp_path / "data"
    place, outside = root / link, tmp_path / "outside"
    place.parent.mkdir(parents=True)
    outside.mkdir()
    assert read(text, root).table == str(root / "t")
    place.symlink_to(outside)
    with pytest.raises(Refused, match="behind a link"):
        read(text, root)
    place.unlink()
    (root / "elsewhere").mkdir()
    place.symlink_to(root / "elsewhere")
    read(text, root)
