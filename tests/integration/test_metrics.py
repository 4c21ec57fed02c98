"""`/metrics` of a worker and of a service, as Prometheus asks for them; and their logs as JSON."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from producer.embedded.redis_server import RedisServer
from producer.ledger import Ledger
from schemas import metrics
from schemas.job import Job
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_ledger import RUN, receipt, record
from worker.ledger import Ledger as WorkerLedger

pytestmark = pytest.mark.integration

Samples = dict[tuple[str, tuple[str, ...]], float]


def scrape(url: str) -> Samples:
    with urllib.request.urlopen(url, timeout=60) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def logged(process: object) -> list[dict[str, object]]:
    """What a process has logged; every line is an object, or this fails."""
    text = process.log.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def metrics_url(process: object) -> str:
    served = [one for one in logged(process) if one["action"] == "metrics_served"]
    return str(served[0]["message"]).split()[-1]


def actions(process: object) -> set[object]:
    return {one["action"] for one in logged(process)}


def own(samples: Samples) -> set[str]:
    return {name for name, _ in samples if name.startswith("vecmill_")}


def test_a_worker_and_a_service_say_what_they_did(
    vecmill: Processes, server: RedisServer, corpus: Callable[[int], Path], tiny_model: Path, tmp_path: Path
) -> None:
    at = {"VECMILL_BROKER_URL": server.url}
    said = ("--metrics-port", "0", "--log-format", "json")
    worker = vecmill.start("worker", "--device", "cpu", "--allow-root", tmp_path, *said, **at)
    serve = vecmill.start("serve", *said, **at)
    wait_until(lambda: "service_started" in actions(serve), or_ended=serve)
    wait_until(lambda: "metrics_served" in actions(worker), or_ended=worker)
    before = scrape(metrics_url(worker))
    assert before["vecmill_rows_total", ()] == 0
    assert [labels for name, labels in before if name == "vecmill_worker_info" and "cpu" in labels]
    done = vecmill.run(
        "embed", corpus(300), "--model", tiny_model, "--to", tmp_path / "t", "--run-id", "r", "--json", **at
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    # The ledger hears of a job before the tally does.
    wait_until(lambda: scrape(metrics_url(worker))["vecmill_rows_total", ()] == 300, or_ended=worker)
    after = scrape(metrics_url(worker))
    assert own(after) == {metric.name for metric in metrics.OF_WORKER}
    assert after["vecmill_tokens_total", ()] == result["tokens"]
    assert after["vecmill_batches_total", ()] == result["batches"]
    assert after["vecmill_padded_tokens_total", ()] == after["vecmill_encoded_tokens_total", ()] == result["tokens"]
    assert after["vecmill_models_loaded", ()] == 1
    (worker_labels,) = (labels for name, labels in after if name == "vecmill_worker_info")
    assert "cpu" in worker_labels
    assert after["vecmill_stage_seconds_total", ("encode",)] > 0
    assert after["vecmill_jobs_total", ("done",)] >= 1
    assert after["process_cpu_seconds_total", ()] > 0
    broker = scrape(metrics_url(serve))
    assert broker["vecmill_redis_up", ()] == broker["vecmill_workers", ("cpu",)] == 1
    assert broker["vecmill_runs", ("committed",)] == 1
    check_logs(worker)
    password = server.url.partition("@")[0].rpartition(":")[2]
    assert len(password) > 20
    assert not [one for one in (worker, serve) if password in one.log.read_text()]
    # Nothing of it is for other machines, and a port that is taken is said to be.
    assert metrics_url(worker).startswith("http://127.0.0.1:")
    taken = metrics_url(worker).rpartition(":")[2].removesuffix("/metrics")
    refused = vecmill.run("serve", "--metrics-port", taken, **at)
    assert (refused.returncode, "needs a port of its own" in refused.stderr) == (2, True), refused.stderr


def check_logs(worker: object) -> None:
    """Each line is an object with a name of its own, and what it is about."""
    jobs = [one for one in logged(worker) if one["action"] == "job_done"]
    assert {one["run"] for one in jobs} == {"r"}
    assert {one["level"] for one in jobs} == {"info"}
    assert all(str(one["worker"]) for one in logged(worker))
    assert {"model_loading", "metrics_served"} <= actions(worker)


def test_a_job_that_is_done_is_news_once(client: redis.Redis) -> None:
    ledger, worker = Ledger(client, RUN), WorkerLedger(client, "w")
    ledger.open(record())
    ledger.enqueue(0, b"rows")
    worker.claim(Job(run=RUN, job=0))
    assert worker.finish(Job(run=RUN, job=0), receipt(0))
    assert not worker.finish(Job(run=RUN, job=0), receipt(0))
    ledger.forget(most_jobs=1)
    assert not worker.finish(Job(run=RUN, job=0), receipt(0))


def test_a_service_tells_of_runs_and_that_redis_is_away(
    vecmill: Processes, server: RedisServer, client: redis.Redis
) -> None:
    serve = vecmill.start("serve", "--metrics-port", "0", "--log-format", "json", VECMILL_BROKER_URL=server.url)
    wait_until(lambda: "service_started" in actions(serve), or_ended=serve)
    ledger, worker = Ledger(client, RUN), WorkerLedger(client, "w")
    # So that the service does not take the run over.
    assert ledger.hold("this test") == "this test"
    ledger.open(record())
    for job in (0, 1, 2):
        ledger.enqueue(job, b"rows")
    worker.claim(Job(run=RUN, job=0))
    worker.finish(Job(run=RUN, job=0), receipt(0))
    worker.claim(Job(run=RUN, job=1))
    ledger.set_state("paused")
    found = scrape(metrics_url(serve))
    assert own(found) <= {metric.name for metric in metrics.OF_SERVICE}
    assert found["vecmill_leases", ()] == found["vecmill_run_leases", (RUN,)] == 1
    assert found["vecmill_run_jobs_done", (RUN,)] == 1
    assert found["vecmill_run_rows", (RUN,)] == record().rows
    assert found["vecmill_run_rows_done", (RUN,)] == receipt(0).rows + receipt(0).failed
    assert found["vecmill_run_driven", (RUN,)] == 1
    ledger.set_state("committed")
    assert not [name for name, _ in scrape(metrics_url(serve)) if name.startswith("vecmill_run_")]
    server.stop()
    assert own(scrape(metrics_url(serve))) == {"vecmill_redis_up"}
    assert scrape(metrics_url(serve))["vecmill_redis_up", ()] == 0
    wait_until(lambda: "redis_away" in actions(serve), or_ended=serve)
