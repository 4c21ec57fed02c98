"""The bookkeeping of the benchmark against peers, with a fake peer: what a run took, what is written, what is told."""

import json
import subprocess
import sys

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.peers import __main__ as program
from benchmarks.peers import quality
from benchmarks.peers.contenders import BASELINE, PEERS, Peer
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.measured import TIMED_OUT
from benchmarks.peers.runs import Bench, Setting

TEXTS = ["a", "bbb", "cc", "dddd"]
#: The vector of a text is its length and 1.
ADAPTER = """
import numpy as np
def load(model, options):
    return lambda texts: np.array([[len(text), 1] for text in texts][: options.get("most")])
"""
#: Its process begins another, does not wait for it, and ends when that one has told its CPU time.
ORPHANS = """
import os, subprocess, sys, time
burn = "import time\\nwhile time.process_time() < 0.3: pass\\nprint(time.process_time(), flush=True); time.sleep(1e6)"
told = subprocess.Popen([sys.executable, "-c", burn], stdout=subprocess.PIPE).stdout.readline()
open(sys.argv[1], "wb").write(told)
"""


def measured(tmp_path, seconds, *command):
    said = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.measured", said, str(seconds), *command], check=False
    )
    found = json.loads(said.read_text())
    assert found["code"] == done.returncode
    return found


def test_the_cpu_time_of_a_process_that_is_left_behind_counts(tmp_path):
    found = measured(tmp_path, 300, sys.executable, "-c", ORPHANS, tmp_path / "spent")
    assert found["code"] == 0
    assert found["cpu_seconds"] >= float((tmp_path / "spent").read_text())


def test_a_command_that_lasts_too_long_is_ended_with_all_its_processes(tmp_path):
    forever = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1e6)'])"
    )
    forever += f"; open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); time.sleep(1e6)"
    # Long enough that the second process was begun, on a machine however slow: it is looked for until it is there.
    for seconds in (2, 20, 120):
        found = measured(tmp_path, seconds, sys.executable, "-c", forever)
        assert found["code"] == TIMED_OUT
        if (tmp_path / "pid").exists():
            break
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.fixture
def bench(tmp_path):
    corpus = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"id": [f"id-{text}" for text in TEXTS], "text": TEXTS}), corpus)
    setting = Setting(model="none", cache=tmp_path / "cache", cores=1, limit_seconds=300, calibration=corpus)
    return Bench(setting, "docstrings", corpus, len(TEXTS))


@pytest.fixture
def peer(tmp_path):
    (tmp_path / "fake.py").write_text(ADAPTER)
    return Peer(BASELINE, "float32", str(tmp_path / "fake"))


def test_a_run_gives_what_it_took_and_how_near_its_vectors_are(bench, peer):
    found = bench.run(peer, {"batch_size": 8})
    assert found["cpu_seconds"] > 0
    assert found["peak_bytes"] > 0
    assert found["cosine_mean"] == pytest.approx(1)
    assert quality.kept(bench.reference).tolist() == [[1, 1], [3, 1], [2, 1], [4, 1]]


def test_a_peer_that_loses_a_text_does_not_count(bench, peer):
    with pytest.raises(Unavailable, match="4 texts gave 3 vectors"):
        bench.run(peer, {"most": 3})


def test_the_batch_size_is_one_of_those_tried(bench, peer):
    found = bench.tune(peer)
    assert found["seconds_of_sizes"][str(found["batch_size"])] == min(found["seconds_of_sizes"].values())


def test_a_peer_starts_once_a_round_and_is_tuned_once_and_a_failure_is_told_once(bench, peer, tmp_path, monkeypatch):
    broken = Peer("broken", "float32", str(tmp_path / "nowhere"))
    monkeypatch.setattr(program, "PEERS", (peer, broken))
    records = program.Records(tmp_path / "runs.jsonl", {"commit": "abc"})
    for corpus in ("docstrings", "21", "docstrings", "21"):
        for one in (peer, broken):
            program.one(Bench(bench.setting, corpus, bench.corpus, bench.texts), one, records)
    kinds = [(record["kind"], record["peer"], record.get("corpus")) for record in records.all()]
    assert kinds.count(("start", BASELINE, None)) == 2
    assert [kinds.count(("full", BASELINE, corpus)) for corpus in ("docstrings", "21")] == [2, 2]
    assert [kinds.count(("tuned", BASELINE, corpus)) for corpus in ("docstrings", "21")] == [1, 1]
    assert [kinds.count(("failed", "broken", corpus)) for corpus in ("docstrings", "21")] == [1, 1]


class Cold:
    """A bench whose first run takes longest."""

    name, texts = "80", 3

    def __init__(self):
        self.runs = []

    def run(self, peer, size, limit=None):
        self.runs.append(limit)
        return {"seconds": 1 / len(self.runs)}


def test_what_is_done_once_on_a_machine_is_no_part_of_a_start(tmp_path):
    records, cold = program.Records(tmp_path / "runs.jsonl", {}), Cold()
    for _ in range(2):
        program.one(cold, Peer("without adapter", "float32", ""), records)
    assert cold.runs == [1, 1, None, 1, None]
    assert [record["seconds"] for record in records.that(kind="start")] == [1 / 2, 1 / 4]


def test_every_other_turn_goes_backwards_and_the_baseline_is_first():
    first, second = ([peer.name for peer in program.in_turn([], turn)] for turn in (0, 1))
    assert first[0] == second[0] == BASELINE
    assert first[1:] == second[:0:-1]
    assert sorted(first) == sorted(peer.name for peer in PEERS)
    assert [peer.name for peer in program.in_turn(["ONNX"], 0)] == ["ONNX"]
