"""Texts that are longer than the model reads: cut and counted, failed, or in chunks of which each arrives once."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.integration.conftest import WORDS, Processes, wait_until
from tests.integration.test_runs import outcome

pytestmark = pytest.mark.integration

RUN = "chunked"


def test_truncation_is_an_error_where_that_is_asked_and_counted_and_listed_where_not(
    served: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    texts = {f"doc-{at}": "alpha beta " * (50 if at % 3 == 0 else 2) + str(at) for at in range(9)}
    long = {id_ for id_, text in texts.items() if len(text) > 100}
    pq.write_table(pa.table({"id": list(texts), "text": list(texts.values())}), tmp_path / "corpus.parquet")
    embed = ["embed", "corpus.parquet", "--model", tiny_model, "--to", "table", "--json"]
    failing = served.run(*embed, "--on-truncate", "fail", "--run-id", "cut-is-failed")
    assert failing.returncode == 3, failing.stderr
    result = json.loads(failing.stdout.splitlines()[-1])
    assert (result["embedded"], result["failed"], result["truncated"]) == (6, 3, 0)
    failed = pq.read_table(tmp_path / "table" / "_errors" / "cut-is-failed").to_pylist()
    assert {row["id"] for row in failed} == long
    assert {(row["reason"], row["detail"]) for row in failed} == {
        ("truncated", "the text is longer than the model reads (64 tokens)")
    }
    other = served.run(*embed, "--run-id", "cut-is-failed")
    assert (other.returncode, "begun with another on-truncate" in other.stderr) == (2, True)
    result = outcome(served.run(*embed))
    assert (result["embedded"], result["reused"], result["truncated"]) == (3, 6, 3)
    rows = DeltaTable(tmp_path / "table").to_pyarrow_table(columns=["id", "truncated"]).to_pylist()
    assert {row["id"] for row in rows if row["truncated"]} == long


def test_a_killed_run_of_chunks_is_resumed_and_every_chunk_is_there_once(
    vecmill: Processes, tiny_model: Path, tmp_path: Path
) -> None:
    sentences = [
        " ".join(WORDS[(at * 5 + word) % 11] for word in range(3 + at % 9)).capitalize() + f" {at}."
        for at in range(400)
    ]
    # A number in each sentence, so that no chunk comes again and is left out of the jobs.
    texts = {
        f"doc-{at}": " ".join(f"{at} {sentence}" for sentence in sentences[at : at + 60 + at % 40]) for at in range(150)
    }
    pq.write_table(pa.table({"id": list(texts), "text": list(texts.values())}), tmp_path / "corpus.parquet")
    table = tmp_path / "table"
    run = vecmill.start("embed", "corpus.parquet", "--model", tiny_model, "--to", table, "--run-id", RUN,
                        "--chunk-tokens", "18", "--keep-text")  # fmt: skip

    def parts() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (table / RUN).glob("part-*.parquet")}

    wait_until(lambda: len(parts()) >= 3, or_ended=run)
    children = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert not psutil.wait_procs(children, timeout=150)[1]
    survivors = parts()
    result = outcome(vecmill.run("resume", table, "--json"))
    assert len(survivors) < len(parts()), "the producer was killed too late to prove anything"
    assert {path: parts()[path] for path in survivors} == survivors, "what was done is not done again"
    assert (result["rows"], result["failed"], result["truncated"]) == (150, 0, 0)

    chunks = defaultdict(list)
    found = DeltaTable(table).to_pyarrow_table().to_pylist()
    for row in found:
        chunks[row["id"]].append(row)
        assert texts[row["id"]][row["start"] : row["end"]] == row["text"]
        assert np.isfinite(row["embedding"]).all()
    assert len(found) == result["chunks"] == result["embedded"]
    for id_, text in texts.items():
        rows = sorted(chunks[id_], key=lambda row: row["chunk"])
        assert [row["chunk"] for row in rows] == list(range(len(rows)))
        assert "".join(row["text"] for row in rows).replace(" ", "") == text.replace(" ", "")
