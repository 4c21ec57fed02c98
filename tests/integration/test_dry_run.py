"""`embed --dry-run` says what `embed` then does, and leaves no trace."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.conftest import Processes, texts
from tests.integration.test_runs import outcome
from tests.integration.test_upsert import write

pytestmark = pytest.mark.integration


def everything(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_says_what_is_then_done(served: Processes, tiny_model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    table, source = home / "table", tmp_path / "corpus.parquet"
    home.mkdir()
    corpus = {f"doc-{at}": text for at, text in enumerate(texts(300))}
    embed = ["embed", source, "--model", tiny_model, "--to", table, "--dtype", "float32", "--json"]

    def both(*more: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The forecast, once a real run has agreed with it; and what that said."""
        before = everything(home)
        told = outcome(served.run(*embed, *more, "--dry-run", XDG_STATE_HOME=str(home)))
        assert everything(home) == before, "a dry run writes nothing"
        done = outcome(served.run(*embed, *more))
        names = ("rows", "embedded", "reused", "deleted", "tombstones", "fingerprint", "dims")
        assert {name: told[name] for name in names} == {name: done[name] for name in names}
        versions = (-1 if told["version"] is None else told["version"]) + told["commits"]
        assert versions == done["version"]
        assert told["twins"] == done["duplicates"]
        return told, done

    write(source, corpus)
    first, done = both()
    assert (first["version"], first["new"], first["jobs"], first["pooling"]) == (None, 300, 2, ["mean"])
    assert first["output_bytes"] == 300 * 32 * 4
    estimate = first["estimate"]
    assert (estimate["sample"], estimate["tokens_error"], estimate["unknown"]) == (300, 0, "")
    assert (estimate["tokens"], estimate["truncated"] * 300) == (
        done["tokens"],
        pytest.approx(done["truncated"], abs=0.01),
    )
    assert estimate["tokens_per_second"] > 0
    assert 0 < estimate["hours"] <= estimate["worker_hours"]
    assert (estimate["device"], estimate["dtype"]) == ("cpu", "float32")
    assert not both()[0]["commits"]
    corpus.update({"doc-0": "vector", "new": "beta"})
    del corpus["doc-7"]
    write(source, corpus)
    some, _ = both()
    assert (some["new"], some["changed"], some["reused"], some["absent"], some["spec_changes"]) == (1, 1, 298, 1, [])
    assert some["rewritten_bytes"] > 0
    assert both("--mode", "sync")[0]["deleted"] == 1
    stream = {"id": ["again", "doc-9"], "text": ["vector", None], "gone": [None, True]}
    pq.write_table(pa.table(stream), source)
    changes, done = both("--deleted-column", "gone")
    assert (changes["twins"], changes["jobs"], changes["buried"], changes["rows"]) == (1, 0, 1, 2)
    assert (done["version"], done["chunks"], done["duplicates"]) == (3, 300, 1)
    del corpus["doc-9"]
    write(source, {**corpus, "again": "vector"})
    anew, _ = both("--max-tokens", "8")
    assert (anew["anew"], anew["embedded"], anew["twins"]) == (True, 300, 1)
    assert anew["spec_changes"] == ["max_tokens: 64 in the table, 8 in the run"]

    human = served.run(*embed[:-1], "--dry-run", "--prompt", "list: ")
    assert human.returncode == 0, human.stderr
    for words in (
        "nothing was done. embed would read 300 rows and embed 300 of them",
        "1 of these come again, or have a vector under another id: they are not encoded",
        "tokens (± 0), by a random sample of 299 texts",
        "of the texts are longer than the model reads: they would be truncated",
        "prompt: '' in the table, 'list: ' in the run",
        'it is put behind the prompt "list: "',
        "the mean over all tokens stands for the text",
        "about 38.4 kB of vectors (float32, 32 dimensions), 2 jobs",
    ):
        assert words in human.stdout
    del corpus["doc-8"]
    write(source, corpus)
    refused = served.run(*embed, "--dry-run")
    assert refused.returncode == 2
    assert "max_tokens: 8 in the table" in refused.stderr, "what embed would refuse is refused now"
