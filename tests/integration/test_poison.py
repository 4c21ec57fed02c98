"""Rows that kill whatever worker touches them: they alone fail, and their neighbours arrive."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import producer
from tests.integration.conftest import Processes, texts

pytestmark = pytest.mark.integration

ROWS = 300
RUN = "poisoned"
#: Words of the tiny model's vocabulary that do the harm, and which no text of `texts` holds.
KILL, LOSE = "vector", "job"


def poisoned(path: Path, poison: dict[int, str]) -> Path:
    rows = [f"{text} {poison[at]}" if at in poison else text for at, text in enumerate(texts(ROWS))]
    pq.write_table(pa.table({"id": [f"doc-{at}" for at in range(ROWS)], "text": rows}), path)
    return path


def embed(vecmill: Processes, model: Path, folder: Path, poison: dict[int, str]) -> "tuple[int, str]":
    """Embed with two workers; the exit code, and what was said on stderr."""
    words = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
    here = Path(__file__).parent
    path = [str(here / "killer"), str(here.parents[1]), os.environ.get("PYTHONPATH", "")]
    env = {"TOKEN_THAT_KILLS": str(words[KILL]), "TOKEN_THAT_LOSES_THE_DEVICE": str(words[LOSE])}
    done = vecmill.run(
        "embed", poisoned(folder / "c.parquet", poison), "--model", model, "--device", "cpu",
        "--to", folder / "table", "--run-id", RUN, "--workers", "2", "--dtype", "float32", "--json",
        PYTHONPATH=os.pathsep.join(filter(None, path)), **env,
    )  # fmt: skip
    return done.returncode, done.stderr


def assert_only_these_failed(table: Path, poison: Iterable[int]) -> None:
    wanted = {f"doc-{at}" for at in poison}
    failed = pq.read_table(table / "_errors" / RUN).to_pylist()
    assert {(row["id"], row["reason"]) for row in failed} == {(id_, "worker_died") for id_ in wanted}
    assert {row["detail"] for row in failed} == {"the worker died while encoding it, 2 times"}
    ids, _ = producer.read(str(table))
    assert Counter(ids) == Counter({f"doc-{at}" for at in range(ROWS)} - wanted)


def test_rows_that_kill_their_workers_fail_alone(vecmill: Processes, tiny_model: Path, tmp_path: Path) -> None:
    """Two rows in two jobs; at one of them the process dies, at the other its device is lost."""
    poison = {20: KILL, 280: LOSE}
    code, said = embed(vecmill, tiny_model, tmp_path, poison)
    assert code == 3, said
    assert_only_these_failed(tmp_path / "table", poison)
    deaths = sum(int(line.split()[0]) for line in said.splitlines() if "worker(s) had ended" in line)
    assert 3 <= deaths <= 10
    assert "its worker died" in said or "device is lost" in said
