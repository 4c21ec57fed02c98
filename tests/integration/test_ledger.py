"""The ledger's laws, against a real Redis: every job ends once, whoever claims, dies or repeats."""

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger as ProducerLedger
from producer.ledger import living_workers
from producer.queue import JobQueue, jobs_waiting
from schemas.errors import UsageError
from schemas.job import Job
from schemas.ledger import LEASE_SECONDS, MAX_ATTEMPTS, WORKERS_KEY, Heartbeat, RunKeys
from schemas.receipt import Receipt, SourceRange
from schemas.run import RunRecord, SourceOptions
from schemas.spec import Spec
from schemas.transport import QUEUE
from tests.chaos.proxy import Proxy
from tests.integration.conftest import wait_until
from worker.ledger import Ledger as WorkerLedger
from worker.ledger import Verdict, connect
from worker.runs import Runs, UnknownRun
from worker.settings import WorkerSettings

pytestmark = pytest.mark.integration

RUN = "run-1"


def record(run: str = RUN) -> RunRecord:
    spec = Spec(model="m", content="files:0", modules=(), dims=4)
    return RunRecord(
        run=run, table="/t", source=SourceOptions(paths=("c",)), spec=spec, rows=9, source_state="s", job_rows=3,
        created_at=1.0,
    )  # fmt: skip


def receipt(job: int, run: str = RUN) -> Receipt:
    return Receipt(
        run=run, job=job, fingerprint="f", source=SourceRange(start=(0, 0, 0), end=(0, 1, 1)), rows=3, failed=1,
        tokens=30, claimed_at=1.0, durable_at=2.0, worker="w", device="cpu", dtype="float32",
    )  # fmt: skip


def expire_lease(client: redis.Redis, job: int) -> None:
    """What time does to the lease of a worker that died."""
    client.zadd(RunKeys(RUN).leases, {str(job): time.time() - 1})


@pytest.fixture
def producer(client: redis.Redis) -> ProducerLedger:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    for job in range(3):
        assert ledger.enqueue(job, b"rows")
    return ledger


def test_a_job_is_claimed_by_one_worker_and_finished_once(client: redis.Redis, producer: ProducerLedger) -> None:
    first, second = WorkerLedger(client, "w1"), WorkerLedger(client, "w2")
    job = Job(run=RUN, job=0)
    assert first.claim(job).verdict is Verdict.GO
    assert second.claim(job).verdict is Verdict.BUSY
    assert first.claim(job).verdict is Verdict.BUSY  # a repeated message to the same worker
    first.finish(job, receipt(0))
    first.finish(job, receipt(0))
    assert second.claim(job).verdict is Verdict.DONE
    progress = producer.progress()
    assert progress is not None
    assert (progress.done, progress.counters["rows"], progress.counters["failed"]) == (1, 3, 1)
    assert first.payload(job) is None


def test_an_expired_lease_is_sent_again_and_claimed_by_another(client: redis.Redis, producer: ProducerLedger) -> None:
    dead, alive = WorkerLedger(client, "dead"), WorkerLedger(client, "alive")
    assert dead.claim(Job(run=RUN, job=1)).verdict is Verdict.GO
    assert producer.overdue() == ([], [])
    expire_lease(client, 1)
    assert dead.renew(RUN, [1]) == 1  # still its own until somebody takes it
    expire_lease(client, 1)
    assert producer.overdue() == ([1], [])
    claim = alive.claim(Job(run=RUN, job=1))
    assert (claim.verdict, claim.attempt) == (Verdict.GO, 2)
    assert dead.renew(RUN, [1]) == 0
    assert alive.renew(RUN, [1]) == 1


def test_messages_that_nobody_claimed_are_looked_for_now_and_then(
    client: redis.Redis, producer: ProducerLedger
) -> None:
    client.zadd(RunKeys(RUN).sent, dict.fromkeys("02", time.time() - 60))
    assert producer.overdue() == ([], [0, 2])
    assert producer.overdue() == ([], []), "not again at once"


def test_the_queue_knows_which_jobs_of_a_run_wait_in_it(client: redis.Redis, server: RedisServer) -> None:
    queue = JobQueue(server.url)
    queue.publish(RUN, [3, 5])
    queue.publish("another", [7])
    client.lpush(QUEUE, "no message of ours", '{"body": "x"}', "[" * 50_000, b"\xff", "[]")
    assert jobs_waiting(client, RUN) == {3, 5}
    queue.close()


def test_what_was_lost_comes_before_what_waits(client: redis.Redis, server: RedisServer) -> None:
    queue = JobQueue(server.url)
    queue.publish(RUN, [1, 2])
    queue.publish(RUN, [3, 4], first=True)
    taken = [json.loads(client.rpop(QUEUE))["body"] for _ in range(4)]
    assert [json.loads(base64.b64decode(body))[1]["job"] for body in taken] == [4, 3, 1, 2]
    queue.publish(RUN, [], first=True)
    assert not client.exists(QUEUE)
    queue.close()


def test_a_job_that_never_ends_is_dead_after_its_attempts_and_lives_again_when_forgiven(
    client: redis.Redis, producer: ProducerLedger
) -> None:
    worker, job = WorkerLedger(client, "w"), Job(run=RUN, job=2)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert worker.claim(job).attempt == attempt
        worker.give_back(job, f"cause {attempt}", retry_seconds=0)
    assert worker.claim(job).verdict is Verdict.DEAD
    progress = producer.progress()
    assert progress is not None
    assert progress.dead == 1
    assert producer.causes()[2] == f"cause {MAX_ATTEMPTS}"
    producer.forgive()
    producer.open(record())
    assert producer.enqueue(2, b"rows")
    assert worker.claim(job).verdict is Verdict.GO


def test_a_job_given_back_rests_before_it_is_claimed_again(client: redis.Redis, producer: ProducerLedger) -> None:
    worker, job = WorkerLedger(client, "w"), Job(run=RUN, job=0)
    assert worker.claim(job).verdict is Verdict.GO
    worker.give_back(job, "disk full", retry_seconds=30)
    assert worker.claim(job).verdict is Verdict.BUSY
    assert producer.overdue() == ([], [])
    expire_lease(client, 0)
    assert producer.overdue() == ([0], [])


def test_a_job_that_is_passed_on_is_sent_again_at_once(client: redis.Redis, producer: ProducerLedger) -> None:
    leaving, other = WorkerLedger(client, "leaving"), WorkerLedger(client, "other")
    passed, held, resting = (Job(run=RUN, job=number) for number in range(3))
    assert other.claim(held).verdict is Verdict.GO
    assert other.claim(resting).verdict is Verdict.GO
    other.give_back(resting, "disk full", retry_seconds=30)
    for job in passed, held, resting:
        leaving.pass_on(job)
    assert producer.overdue() == ([0], [])
    assert other.claim(passed).verdict is Verdict.GO
    assert leaving.claim(held).verdict is Verdict.BUSY
    assert leaving.claim(resting).verdict is Verdict.BUSY


def test_lost_leases_never_make_a_job_dead_and_errors_still_do(client: redis.Redis, producer: ProducerLedger) -> None:
    job = Job(run=RUN, job=0)
    for lost in range(3 * MAX_ATTEMPTS):
        claim = WorkerLedger(client, f"w{lost}").claim(job)
        assert (claim.verdict, claim.lost, claim.deaths) == (Verdict.GO, lost, ())
        expire_lease(client, 0)
    WorkerLedger(client, "refusing").claim(job)
    WorkerLedger(client, "refusing").give_back(job, "not allowed", retry_seconds=0, attempts=0)
    claim = WorkerLedger(client, "hopeless").claim(job)
    assert (claim.verdict, claim.lost) == (Verdict.GO, 3 * MAX_ATTEMPTS)
    WorkerLedger(client, "hopeless").give_back(job, "no hope", retry_seconds=0, attempts=MAX_ATTEMPTS)
    assert WorkerLedger(client, "w").claim(job).verdict is Verdict.DEAD
    assert producer.causes()[0] == "no hope"


def test_what_was_tried_when_a_lease_was_lost_is_known_to_the_next(
    client: redis.Redis, producer: ProducerLedger
) -> None:
    job, first, second, third = Job(run=RUN, job=1), *(WorkerLedger(client, name) for name in "abc")
    first.claim(job)
    assert first.try_rows(job, "0:3")
    assert first.try_rows(job, "1:2")
    expire_lease(client, 1)
    assert second.claim(job).deaths == ("1:2",)
    assert not first.try_rows(job, "2:3"), "somebody else has it"
    assert second.try_rows(job, "1:2")
    second.abandon(job, "the device is lost")
    assert third.claim(job).deaths == ("1:2", "1:2")
    assert producer.causes()[1] == "the device is lost"
    progress = producer.progress()
    assert progress is not None
    assert progress.deaths == 2
    expire_lease(client, 1)
    assert third.claim(job).deaths == ("1:2", "1:2"), "a lease lost before anything was tried blames no row"
    third.try_rows(job, "0:1")
    third.give_back(job, "it lives", retry_seconds=0)
    assert first.claim(job).deaths == ("1:2", "1:2"), "an attempt that ended alive blames no row"
    first.finish(job, receipt(1))
    left = [key for key in RunKeys(RUN).of_a_job() if client.hexists(key, "1")]
    assert left == []


def test_a_worker_known_to_be_dead_holds_no_lease(client: redis.Redis, producer: ProducerLedger) -> None:
    for number, name in enumerate(("dead", "dead", "alive")):
        WorkerLedger(client, name).claim(Job(run=RUN, job=number))
    producer.bury("dead")
    assert producer.overdue() == ([0, 1], [])


def test_a_message_of_a_job_that_does_not_exist_leaves_no_trace(client: redis.Redis, producer: ProducerLedger) -> None:
    producer.set_state("paused")
    assert WorkerLedger(client, "w").claim(Job(run=RUN, job=10**15)).verdict is Verdict.UNKNOWN
    producer.set_state("running")
    assert producer.overdue() == ([], [])


@pytest.mark.parametrize(("state", "verdict"), [("paused", Verdict.HELD), ("cancelled", Verdict.HELD)])
def test_workers_heed_the_state_of_the_run(
    client: redis.Redis, producer: ProducerLedger, state: str, verdict: Verdict
) -> None:
    producer.set_state(state)
    worker = WorkerLedger(client, "w")
    assert worker.claim(Job(run=RUN, job=0)).verdict is verdict
    producer.set_state("running")
    if state == "paused":  # the message is gone, so the job must come back by itself
        assert producer.overdue() == ([0], [])
    assert worker.claim(Job(run=RUN, job=0)).verdict is Verdict.GO


def test_a_lost_ledger_makes_no_work_and_is_built_again_from_the_parts(
    client: redis.Redis, producer: ProducerLedger
) -> None:
    worker = WorkerLedger(client, "w")
    client.flushall()
    assert worker.claim(Job(run=RUN, job=0)).verdict is Verdict.UNKNOWN
    worker.finish(Job(run=RUN, job=0), receipt(0))
    assert producer.progress() is None
    producer.open(record())
    producer.adopt([receipt(0), receipt(2), receipt(0)])
    progress = producer.progress()
    assert progress is not None
    assert (progress.done, progress.counters["rows"], progress.enqueued) == (2, 6, 3)
    assert not producer.enqueue(2, b"rows")
    assert producer.enqueue(1, b"rows")


def test_opening_again_keeps_the_leases_of_workers_that_are_at_it(
    client: redis.Redis, producer: ProducerLedger
) -> None:
    worker, job = WorkerLedger(client, "w"), Job(run=RUN, job=1)
    assert worker.claim(job).verdict is Verdict.GO
    producer.open(record())
    assert not producer.enqueue(1, b"rows"), "somebody is at it: no second message"
    worker.finish(job, receipt(1))
    progress = producer.progress()
    assert progress is not None
    assert progress.done == 1


def test_one_producer_at_a_time(client: redis.Redis, producer: ProducerLedger) -> None:
    assert producer.hold("a") == "a"
    assert producer.hold("b") == "a"
    producer.release("b")
    assert producer.holder() == "a"
    producer.release("a")
    assert producer.hold("b") == "b"


steps = st.lists(
    st.tuples(st.sampled_from(["claim", "finish", "die", "give_back", "pass_on", "reconcile", "wipe", "reopen"]),
              st.integers(0, 2), st.sampled_from(["w1", "w2"])),
    max_size=30,
)  # fmt: skip


@given(steps=steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_every_job_ends_done_exactly_once(
    client: redis.Redis, steps: list[tuple[str, int, str]]
) -> None:
    """A model of the world: parts on disk are a set; after any history the run can be driven to its end."""
    client.flushall()
    producer = ProducerLedger(client, RUN)
    parts: set[int] = set()
    held: set[tuple[str, int]] = set()

    def reopen() -> None:
        producer.open(record())
        producer.adopt(receipt(job) for job in sorted(parts))
        for job in range(3):
            producer.enqueue(job, b"rows")
        producer.all_cut(3)

    reopen()
    for step, number, name in steps:
        worker, job = WorkerLedger(client, name), Job(run=RUN, job=number)
        if step == "claim" and worker.claim(job).verdict is Verdict.GO:
            held.add((name, number))
        elif step == "finish" and (name, number) in held:
            parts.add(number)
            worker.finish(job, receipt(number))
            held.discard((name, number))
        elif step == "die":
            expire_lease(client, number)
        elif step == "give_back":
            worker.give_back(job, "x", retry_seconds=0)
            held.discard((name, number))
        elif step == "pass_on":
            worker.pass_on(job)
        elif step == "reconcile":
            producer.overdue()
        elif step == "wipe":
            client.flushall()
        elif step == "reopen":
            reopen()

    producer.forgive()
    reopen()
    worker = WorkerLedger(client, "last")
    for number in range(3):
        expire_lease(client, number)
        if worker.claim(Job(run=RUN, job=number)).verdict is Verdict.GO:
            assert number not in parts
            parts.add(number)
            worker.finish(Job(run=RUN, job=number), receipt(number))
    progress = producer.progress()
    assert progress is not None
    assert (progress.done, progress.dead, progress.ended) == (3, 0, True)
    assert progress.counters["rows"] == 9, "each job counted once"


def test_a_run_id_of_another_table_is_refused(client: redis.Redis, producer: ProducerLedger) -> None:
    with pytest.raises(UsageError, match="another table"):
        producer.open(record().model_copy(update={"table": "/elsewhere"}))
    assert producer.record() == record()


def test_a_worker_heeds_a_record_that_has_changed(client: redis.Redis, producer: ProducerLedger) -> None:
    settings_ = WorkerSettings(broker_url="redis://x", allow_roots=("/",))
    runs = Runs(WorkerLedger(client, "w"), settings_)
    job = Job(run=RUN, job=0)
    assert runs.record(job).table == "/t"
    client.delete(RunKeys(RUN).run)
    with pytest.raises(UnknownRun):
        runs.record(job)
    producer.open(record().model_copy(update={"table": "/elsewhere"}))
    assert runs.record(job).table == "/elsewhere"


@pytest.mark.parametrize("garbage", [b"", b"{}", b"\xff\xfe", b"[" * 10_000, b'{"worker": 1}'])
def test_what_is_no_record_of_ours_is_passed_over(
    client: redis.Redis, producer: ProducerLedger, garbage: bytes
) -> None:
    alive = WorkerLedger(client, "alive")
    alive.beat(Heartbeat(worker="alive", at=alive.server_time(), device="cpu", in_flight=0, models=()))
    client.hset(WORKERS_KEY, "garbage", garbage)
    client.hset(RunKeys(RUN).run, "record", garbage)
    assert [beat.worker for beat in living_workers(client)] == ["alive"]
    assert producer.record() is None


def test_a_claim_whose_answer_was_lost_is_answered_once_more(server: RedisServer, client: redis.Redis) -> None:
    ledger = ProducerLedger(client, RUN)
    ledger.open(record())
    for job in range(2):
        ledger.enqueue(job, b"rows")
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    proxy = Proxy(port)
    far = WorkerLedger(connect(server.url.replace(f":{port}/", f":{proxy.port}/")), "far")
    assert far.claim(Job(run=RUN, job=1)).verdict is Verdict.GO, "Redis knows the script now"
    proxy.mood = "deaf"
    with ThreadPoolExecutor(1) as thread:
        claim = thread.submit(far.claim, Job(run=RUN, job=0))
        wait_until(lambda: client.hexists(RunKeys(RUN).owners, "0"))
        proxy.cut()
        proxy.mood = "pass"
        assert claim.result(60) == (Verdict.GO, 1, 0, ())
    assert far.claim(Job(run=RUN, job=0)).verdict is Verdict.BUSY, "another message is no answer that was lost"
    proxy.stop()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_step_of_the_clock_of_redis_delays_no_job(client: redis.Redis, producer: ProducerLedger, hours: int) -> None:
    """Times that were noted are then so much older, or younger, than the clock."""
    dead, keys = WorkerLedger(client, "dead"), RunKeys(RUN)
    assert dead.claim(Job(run=RUN, job=0)).verdict is Verdict.GO
    assert producer.hold("dead") == "dead"
    for key in (keys.leases, keys.sent):
        for job, noted in client.zrange(key, 0, -1, withscores=True):
            client.zadd(key, {job: noted + hours * 3600})
    client.pexpire(keys.producer, 15_000 + hours * 3_600_000)
    assert producer.holder() is None
    assert producer.hold("alive") == "alive"
    expired, unclaimed = producer.overdue()
    assert (expired, unclaimed) == (([], []) if hours > 0 else ([0], [1, 2]))
    latest = {key: max(noted for _, noted in client.zrange(key, 0, -1, withscores=True)) for key in (keys.sent,)}
    assert latest[keys.sent] <= dead.server_time()
    if hours > 0:
        lease = client.zscore(keys.leases, "0")
        assert lease <= dead.server_time() + LEASE_SECONDS
