"""The benchmark against peers, but for its runs: the table, environments, texts, nearness."""

import json
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.peers import environments, quality, report
from benchmarks.peers.contenders import BASELINE, Environment
from benchmarks.peers.corpora import pieces
from benchmarks.peers.environments import Unavailable
from benchmarks.throughput import model_folder


def record(kind, peer, cpu, **more):
    facts = {"date": "d", "commit": "c", "cpu": "p", "cpu_family_model": "f", "flags": [], "used_cores": 1, "cores": 2}
    return {"kind": kind, "peer": peer, "cpu_seconds": cpu, "seconds": cpu, "peak_bytes": 2**20, **facts, **more}


def runs_of(peer, start, *spent):
    full = {"corpus": "21", "texts": 100, "tokens": 2100, "cosine_mean": 1.0, "cosine_least": 1.0, "same_nearest": 1.0}
    return [record("start", peer, start), *(record("full", peer, cpu, **full) for cpu in spent)]


def test_the_table_has_medians_and_takes_the_start_away():
    records = [*runs_of(BASELINE, 2.0, 12.0, 13.0, 12.0), *runs_of("ONNX", 1.0, 5.0, 6.0, 99.0)]
    records += [
        record("failed", "fastembed", 0, corpus="21", why="no wheel"),
        record("peak", "", 0, gflops={"float32": 9.0}),
    ]
    said = report.table(records)
    cells = {
        row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[3:7]]
        for row in said.splitlines()
        if "|" in row
    }
    assert cells[BASELINE] == ["10.0", "8.3", "1.00", "1.00"]
    assert cells["ONNX"] == ["20.0", "16.7", "2.00", "2.00"]
    assert "fastembed did not run: no wheel" in said
    assert "infinity" not in said


def test_on_several_cores_the_wall_clock_counts():
    two = {"used_cores": 2}
    records = [one | two | {"seconds": one["seconds"] / 2} for one in runs_of(BASELINE, 2.0, 12.0)]
    records += [one | two for one in runs_of("ONNX", 1.0, 6.0)]
    said = report.table([*records, record("peak", "", 0, gflops={"float32": 1.0}, **two)])
    rows = {
        row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[3:8]]
        for row in said.splitlines()
        if "|" in row
    }
    assert rows[BASELINE][:3] == ["20.0", "16.7", "1.00"]
    assert rows["ONNX"][:3] == ["20.0", "16.7", "1.00"]
    assert rows["ONNX"][4] == f"{2100 * report.FLOP_PER_TOKEN / 5 / 1e9:.2f}"
    assert "texts/s are per second," in said


def test_a_report_replaces_the_last_one_and_nothing_else(tmp_path):
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n\nBefore.\n")
    report.put("first", page)
    page.write_text(page.read_text() + "\nAfter.\n")
    report.put("second", page)
    said = page.read_text()
    assert said.startswith("# Results\n\nBefore.\n")
    assert said.endswith("\nAfter.\n")
    assert "second" in said
    assert "first" not in said
    report.put("of two cores", page, 2)
    assert page.read_text().startswith(said.rstrip())
    assert "of two cores" in page.read_text()


def test_an_environment_that_would_pull_cuda_is_not_made(tmp_path, monkeypatch):
    commands = []

    def run(command):
        commands.append(command)
        return json.dumps({"install": [{"metadata": {"name": name}} for name in ("torch", "nvidia-cublas")]})

    monkeypatch.setattr(environments, "_run", run)
    with pytest.raises(Unavailable, match="nvidia-cublas"):
        environments.installed(Environment("one", ("torch",)), tmp_path)
    assert not any("install" in command and "--dry-run" not in command for command in commands)


def test_what_cannot_be_installed_says_why():
    with pytest.raises(Unavailable, match="no such package"):
        environments._run([sys.executable, "-c", "raise SystemExit('first\\nno such package')"])


@pytest.mark.parametrize("tokens", [21, 80])
def test_a_piece_has_exactly_so_many_tokens(tokens):
    file = Path(model_folder()) / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    found = [text for _, text in islice(pieces(tokens, file), 20)]
    assert len(set(found)) == 20
    assert {len(tokenizer.encode(text)) for text in found} == {tokens}


def test_nearness_sees_the_direction_the_norm_and_the_order():
    reference = np.random.default_rng(0).standard_normal((300, 16)).astype(np.float32)
    reference /= np.linalg.norm(reference, axis=1, keepdims=True)
    same = quality.compare(reference * 2, reference)
    assert same["cosine_least"] == pytest.approx(1, abs=1e-6)
    assert same["norm_error"] == pytest.approx(1, abs=1e-5)
    assert same["same_nearest"] == 1
    other = quality.compare(-reference, reference)
    assert other["cosine_mean"] == pytest.approx(-1, abs=1e-6)
    # A rotation of all vectors keeps what is near what, which a cosine to other vectors does not tell.
    assert quality.compare(np.roll(reference, 1, axis=1), reference)["same_nearest"] == 1
    assert quality.compare(reference[::-1], reference)["same_nearest"] < 0.5
