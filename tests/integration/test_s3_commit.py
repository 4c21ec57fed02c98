"""A commit to a store that fails, hides what it did, or is asked by two at once: one version, and nothing lost."""

import threading
import uuid
from collections.abc import Iterator

import pytest

import producer
from producer.table import commit, list_parts, open_table
from producer.table.log import open_log
from schemas.errors import BucketAway
from schemas.files import bucket
from schemas.run import RunRecord
from tests.integration.s3_server import SECRET, S3Server
from tests.unit.parts import a_record, write_run

pytestmark = pytest.mark.integration

TEXTS = [f"text {at}" for at in range(20)]


@pytest.fixture(autouse=True)
def _fresh(s3: S3Server) -> Iterator[None]:
    yield
    s3.fault()


@pytest.fixture
def record(s3: S3Server) -> RunRecord:
    """A run whose parts are all there."""
    record = a_record(f"s3://{s3.bucket}/{uuid.uuid4().hex}", rows=len(TEXTS))
    write_run(record, TEXTS)
    return record


@pytest.mark.parametrize("again", [False, True], ids=["the first version", "a later one"])
def test_a_store_that_is_away_is_told_apart_and_nothing_is_quoted(s3: S3Server, record: RunRecord, again: bool) -> None:
    if again:
        commit(record, list_parts(record.table, record.run))
        record = record.model_copy(update={"run": "run-2", "mode": "replace"})
        write_run(record, TEXTS)
    parts = list_parts(record.table, record.run)
    s3.fault("503 Slow Down", code="SlowDown", method="PUT")
    with pytest.raises(BucketAway) as away:
        commit(record, parts)
    assert SECRET not in str(away.value)
    s3.fault()
    assert commit(record, parts) == int(again)


def test_a_commit_whose_answer_is_lost_is_one_version(s3: S3Server, record: RunRecord) -> None:
    parts = list_parts(record.table, record.run)
    s3.fault("500 Internal Server Error", code="InternalError", method="PUT", after=True, times=2)
    assert commit(record, parts) == 0
    s3.fault()
    assert open_log(record.table).version() == 0
    assert sorted(producer.read(record.table)[0]) == sorted(f"d{at}" for at in range(len(TEXTS)))


def test_two_producers_commit_one_run_at_once(s3: S3Server, record: RunRecord) -> None:
    parts, versions = list_parts(record.table, record.run), []
    together = threading.Barrier(4)

    def attempt() -> None:
        together.wait()
        versions.append(commit(record, parts))

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [0] * 4
    state = open_table(record.table)
    assert state is not None
    assert (state.version, state.rows) == (0, len(TEXTS))


def test_a_part_whose_answer_is_lost_is_one_part(s3: S3Server, record: RunRecord) -> None:
    late = record.model_copy(update={"run": "late"})
    s3.fault("500 Internal Server Error", code="InternalError", method="PUT", after=True, times=1)
    write_run(late, TEXTS)
    assert [part.rows for part in list_parts(late.table, "late")] == [10, 10]


def test_what_was_put_outlives_the_store(s3: S3Server, record: RunRecord) -> None:
    parts = list_parts(record.table, record.run)
    s3.stop()
    with pytest.raises(BucketAway):
        commit(record, parts)
    s3.start()
    bucket.s3_store.cache_clear()
    assert commit(record, list_parts(record.table, record.run)) == 0
