"""The feeder over a real ledger: a bounded window, and a Redis that lost its last second."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from producer import window
from producer.feeder import Feeder, first_missing
from producer.jobs import JobLimits
from producer.ledger import Ledger as ProducerLedger
from producer.source import START, Cursor, Source, SourceBatch, open_source
from schemas.errors import BucketAway
from schemas.job import Job
from schemas.ledger import RunKeys
from schemas.payload import decode_payload
from schemas.receipt import Receipt, SourceRange
from schemas.run import SourceOptions
from tests.integration.test_ledger import RUN, receipt, record
from worker.ledger import Ledger as WorkerLedger

pytestmark = pytest.mark.integration

ROWS, LIMITS = 1000, JobLimits(rows=4)


@pytest.fixture
def source_options(tmp_path: Path) -> SourceOptions:
    path = tmp_path / "corpus.txt"
    path.write_text("".join(f"text {at}\n" for at in range(ROWS)))
    return SourceOptions(paths=(str(path),))


def fill(feeder: Feeder, ledger: ProducerLedger) -> list[int]:
    progress = ledger.progress()
    assert progress is not None
    return list(feeder.fill(progress))


def test_never_more_than_a_window_and_in_the_end_every_row_once(
    client: redis.Redis, source_options: SourceOptions
) -> None:
    ledger, worker = ProducerLedger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    feeder = Feeder(open_source(source_options), ledger, LIMITS, {})
    seen: list[str] = []
    published: list[int] = []
    while True:
        bound = max(window.WINDOW_JOBS, 2 * len(published))
        published = fill(feeder, ledger)
        assert len(client.keys(f"{RunKeys(RUN).run}:payload:*")) <= bound
        for number in published:
            job = Job(run=RUN, job=number)
            worker.claim(job)
            rows, _ = decode_payload(worker.payload(job) or b"", most_rows=10_000)
            seen += rows["text"].to_pylist()
            worker.finish(job, receipt(number))
        progress = ledger.progress()
        assert progress is not None
        if progress.ended:
            break
    assert seen == [f"text {at}" for at in range(ROWS)]
    assert progress.jobs == ROWS // 4


class Faltering:
    """A source in a store that is away once, behind its second file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._falters = True

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        for batch in self._source.batches(start):
            if self._falters and batch.start.file == 2:
                self._falters = False
                raise BucketAway("the store does not answer")
            yield batch


def test_a_source_that_was_away_for_a_moment_is_read_to_its_end(client: redis.Redis, tmp_path: Path) -> None:
    for file in range(5):
        (tmp_path / f"{file}.txt").write_text("".join(f"text {file} {at}\n" for at in range(6)))
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    feeder = Feeder(Faltering(open_source(SourceOptions(paths=(str(tmp_path),)))), ledger, LIMITS, {})
    progress = ledger.progress()
    assert progress is not None
    published: list[int] = []
    with pytest.raises(BucketAway):
        published.extend(feeder.fill(progress))
    assert not feeder.exhausted
    published += fill(feeder, ledger)
    assert len(set(published)) == len(published)
    texts = [
        text
        for number in range(8)
        for text in decode_payload(client.get(RunKeys(RUN).payload(number)) or b"", most_rows=99)[0]["text"].to_pylist()
    ]
    assert texts == [f"text {file} {at}" for file in range(5) for at in range(6)]
    assert feeder.exhausted


def test_what_a_redis_forgot_is_enqueued_again(client: redis.Redis, source_options: SourceOptions) -> None:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    feeder = Feeder(open_source(source_options), ledger, LIMITS, {})
    assert fill(feeder, ledger) == list(range(window.WINDOW_JOBS))
    keys = RunKeys(RUN)
    client.setrange(keys.jobs, 5, "\0")  # as if its last second, in which job 5 was enqueued, had not happened
    client.zrem(keys.sent, 5)
    client.delete(keys.payload(5), keys.payload(6))
    assert fill(feeder, ledger) == [5]
    feeder.restore(6)
    for number in (5, 6):
        rows, source = decode_payload(
            WorkerLedger(client, "w").payload(Job(run=RUN, job=number)) or b"", most_rows=10_000
        )
        assert rows["text"].to_pylist() == [f"text {number * 4 + at}" for at in range(4)]
        assert source == SourceRange(start=(0, number * 4, number * 4), end=(0, number * 4 + 4, number * 4 + 4))


def test_it_begins_at_the_first_job_that_has_no_part_and_passes_over_those_that_have(
    client: redis.Redis, source_options: SourceOptions
) -> None:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())

    def part(job: int) -> Receipt:
        begin, end = job * 4, job * 4 + 4
        return receipt(job).model_copy(update={"source": SourceRange(start=(0, begin, begin), end=(0, end, end))})

    parts = {job: part(job) for job in (0, 1, 3)}
    ledger.adopt(parts.values())
    assert first_missing(parts) == (2, (0, 8, 8))
    assert fill(Feeder(open_source(source_options), ledger, LIMITS, parts), ledger)[:3] == [2, 4, 5]


def test_the_window_grows_with_the_jobs_at_work_and_not_beyond_the_memory(
    client: redis.Redis, source_options: SourceOptions
) -> None:
    ledger, worker = ProducerLedger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    feeder = Feeder(open_source(source_options), ledger, LIMITS, {})
    sizes = []
    for _ in range(3):
        published = fill(feeder, ledger)
        sizes.append(len(published))
        for number in published:
            worker.claim(Job(run=RUN, job=number))
    assert sizes == [window.WINDOW_JOBS, window.WINDOW_JOBS, 2 * window.WINDOW_JOBS - 6]
    small = Feeder(open_source(source_options), ProducerLedger(client, "small"), LIMITS, {})
    progress = ledger.progress()
    assert progress is not None
    assert len(list(small.fill(progress.model_copy(update={"sent": 0, "leased": 0}), memory_bytes=2))) == 1


def test_a_redis_that_went_back_to_an_older_state_is_noticed(
    client: redis.Redis, source_options: SourceOptions
) -> None:
    ledger, worker = ProducerLedger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    feeder = Feeder(open_source(source_options), ledger, LIMITS, {})
    keys = RunKeys(RUN)

    def state() -> dict[bytes, bytes]:
        return {key: client.dump(key) for key in client.keys(f"{keys.run}*")}

    def outdated() -> bool:
        progress = ledger.progress()
        assert progress is not None
        return feeder.is_outdated(progress)

    def back_to(dumps: dict[bytes, bytes]) -> None:
        client.flushall()
        for key, dump in dumps.items():
            client.restore(key, 0, dump)

    at_first = state()
    published = fill(feeder, ledger)
    some_sent = state()
    for number in published[:9]:
        worker.claim(Job(run=RUN, job=number))
        worker.finish(Job(run=RUN, job=number), receipt(number))
    fill(feeder, ledger)
    now = state()
    assert not outdated()
    for older in (at_first, some_sent):
        back_to(older)
        assert outdated()
        ledger.set_state("cancelled")
        assert not outdated(), "a run that is not to go on is not built again"
        back_to(now)
        assert not outdated()


def test_a_redis_that_goes_away_between_two_questions_loses_no_job(
    client: redis.Redis, source_options: SourceOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    feeder = Feeder(open_source(source_options), ledger, LIMITS, {})

    def away(*_: object) -> dict[int, str]:
        raise redis.ConnectionError("away")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "states", lambda jobs: away() if list(jobs) else {})
        with pytest.raises(redis.ConnectionError):
            fill(feeder, ledger)
    progress = ledger.progress()
    assert progress is not None
    assert feeder.is_outdated(progress), "a job was cut and is nowhere"


def test_a_job_that_nobody_looks_after_is_noticed(client: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("".join(f"text {at}\n" for at in range(8)))
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    feeder = Feeder(open_source(SourceOptions(paths=(str(tmp_path / "corpus.txt"),))), ledger, LIMITS, {})
    assert fill(feeder, ledger) == [0, 1]
    client.zrem(RunKeys(RUN).sent, 0)
    progress = ledger.progress()
    assert progress is not None
    assert not feeder.is_outdated(progress), "another one is still waited for"
    client.zrem(RunKeys(RUN).sent, 1)
    progress = ledger.progress()
    assert progress is not None
    assert feeder.is_outdated(progress)


def test_holes_below_a_late_part_are_filled_however_many(client: redis.Redis, source_options: SourceOptions) -> None:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    late = 2 * window.WINDOW_JOBS
    parts = {late: receipt(late)}
    ledger.adopt(parts.values())
    assert len(fill(Feeder(open_source(source_options), ledger, LIMITS, parts), ledger)) == window.WINDOW_JOBS
