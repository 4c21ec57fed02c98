"""Run records are found again: by run id, by table, whole or not at all."""

import pytest

from producer import records
from schemas.errors import UsageError
from tests.unit.parts import a_record


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_run_is_found_by_its_id_and_by_its_table(tmp_path):
    old, new = (a_record(tmp_path / "t", run=name, created_at=at) for name, at in (("old", 1.0), ("new", 2.0)))
    records.save(new)
    records.save(old)
    assert records.find("old") == old
    assert records.find(str(tmp_path / "t")) == new, "the latest run of a table"
    assert list(records.of_table(str(tmp_path / "t"))) == [new, old]
    assert not list((tmp_path / "t").rglob("*.tmp"))


def test_what_is_not_known_is_told(tmp_path):
    with pytest.raises(UsageError, match="no-such-run"):
        records.find("no-such-run")
    (tmp_path / "t").mkdir()
    with pytest.raises(UsageError, match="no run is recorded"):
        records.find(str(tmp_path / "t"))


def test_a_state_folder_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file" / "below"))
    record = a_record(tmp_path / "t")
    records.save(record)
    assert records.find(str(tmp_path / "t")) == record
