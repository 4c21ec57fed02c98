"""How many short chunks a second the producer takes from Parquet into jobs in a real Redis, per core.

    python -m benchmarks.producer --rows 1000000

CPU seconds of this process are counted, of all its threads, so other work on the machine hardly disturbs; Redis
is another process, and its own CPU seconds are told beside. Stages are measured one by one and then together, from
the survey to the last message. There is no window: every job stays in Redis. The last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.scaling import a_record, a_server, redis_spent
from benchmarks.sentences import write_sentences
from producer.broker import Broker
from producer.jobs import JobLimits, cut
from producer.plan import keys_of_source
from producer.source import Source, open_source
from producer.survey import survey
from schemas.payload import encode_payload
from schemas.run import RunRecord

_LIMITS = JobLimits()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="vecmill-producer-") as folder:
        work = Path(folder)
        corpus = write_sentences(work / "corpus.parquet", rows)
        record = a_record(corpus, work, jobs=-(-rows // _LIMITS.rows), job_rows=_LIMITS.rows)
        with a_server(work / "redis") as server:
            broker = Broker(server.url)
            found = stages(record, broker)
            broker.close()
    print(json.dumps({"rows": rows, "job_rows": _LIMITS.rows, **found} | machine.facts()))


def stages(record: RunRecord, broker: Broker) -> dict[str, Any]:
    """Chunks a second of each stage, and of all of them."""
    source = open_source(record.source)
    counted, survey_seconds = spent(lambda: survey(source).rows)
    _, keys_seconds = spent(lambda: sum(keys.num_rows for keys in keys_of_source(source)))
    jobs, cut_seconds = spent(lambda: list(cut(source, limits=_LIMITS)))
    payloads, encode_seconds = spent(lambda: [encode_payload(job.rows, job.source) for job in jobs])
    _, enqueue_seconds = spent(
        lambda: enqueue(record.model_copy(update={"run": "staged"}), broker, enumerate(payloads))
    )
    before = redis_spent(broker.client)
    _, together_seconds = spent(lambda: together(record, broker, source))
    after = redis_spent(broker.client)
    seconds = {
        "survey": survey_seconds, "hash_texts": keys_seconds, "read_and_cut": cut_seconds, "encode": encode_seconds,
        "enqueue": enqueue_seconds, "together": together_seconds,
    }  # fmt: skip
    return {
        "chunks_per_cpu_second": {name: round(counted / one) for name, one in seconds.items()},
        "payload_bytes_per_chunk": round(sum(map(len, payloads)) / counted, 1),
        "redis_cpu_us_per_job": round((after["cpu_seconds"] - before["cpu_seconds"]) / len(jobs) * 1e6),
    }


def together(record: RunRecord, broker: Broker, source: Source) -> None:
    """Survey, cut, encode, enqueue and publish, a job at a time as the feeder does."""
    survey(source)
    jobs = cut(source, limits=_LIMITS)
    enqueue(record, broker, ((job.job, encode_payload(job.rows, job.source)) for job in jobs))


def enqueue(record: RunRecord, broker: Broker, payloads: Iterable[tuple[int, bytes]]) -> None:
    """Every job into the ledger, and its message into the queue."""
    ledger = broker.ledger(record.run)
    ledger.open(record)
    for job, payload in payloads:
        ledger.enqueue(job, payload)
        broker.queue.publish(record.run, [job])


def spent(work: Any) -> tuple[Any, float]:
    """What some work gives, and its CPU seconds."""
    began = time.process_time()
    answer = work()
    return answer, time.process_time() - began


if __name__ == "__main__":
    main()
