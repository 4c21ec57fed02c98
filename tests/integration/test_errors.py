"""Bad input: what is wrong, where, and what to do; and nothing is enqueued or written before that is said."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producer import __main__ as command_line
from producer.embedded.redis_server import RedisServer

pytestmark = pytest.mark.integration

Fails = Callable[..., tuple[int, str]]


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Fails]:
    """Run a command line in this process; gives its exit code and what it said on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VECMILL_BROKER_URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: str | Path) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["vecmill", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        assert isinstance(ended.value.code, int)
        return ended.value.code, capsys.readouterr().err

    yield run
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"thesis.tex"}, (
        "nothing is written before all is right"
    )


def jsonl(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return jsonl(tmp_path / "good.jsonl", {"id": "a", "text": "alpha"})


def test_a_missing_column_names_the_columns_there_are(fails: Fails, tmp_path: Path, tiny_model: Path) -> None:
    pq.write_table(pa.table({"key": ["a"], "body": ["b"]}), tmp_path / "c.parquet")
    code, said = fails("embed", "c.parquet", "--model", tiny_model, "--to", "out", "--text-column", "nope")
    assert code == 2
    assert all(word in said for word in ("nope", "key", "body", "c.parquet"))


def test_an_unreadable_file_is_named(fails: Fails, tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 this is no parquet PAR1")
    code, said = fails("embed", "broken.parquet", "--model", tiny_model, "--to", "out")
    assert (code, "broken.parquet" in said) == (2, True)


def test_a_broken_line_is_named_by_file_and_number(fails: Fails, tmp_path: Path, tiny_model: Path) -> None:
    jsonl(tmp_path / "c.jsonl", {"id": "a", "text": "alpha"}, '{"id": "b", "text": ')
    code, said = fails("embed", "c.jsonl", "--model", tiny_model, "--to", "out")
    assert (code, "c.jsonl line 2" in said) == (2, True)


def test_a_column_that_is_no_text(fails: Fails, tmp_path: Path, tiny_model: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "text": [1.5]}), tmp_path / "c.parquet")
    code, said = fails("embed", "c.parquet", "--model", tiny_model, "--to", "out")
    assert (code, "double" in said and "text" in said) == (2, True)


def test_duplicate_ids_show_five_of_them(fails: Fails, tmp_path: Path, tiny_model: Path) -> None:
    jsonl(tmp_path / "c.jsonl", *({"id": f"id-{at % 9}", "text": "alpha"} for at in range(18)))
    code, said = fails("embed", "c.jsonl", "--model", tiny_model, "--to", "out")
    assert code == 2
    assert sum(f"id-{at}" in said for at in range(9)) == 5


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_source(fails: Fails, tmp_path: Path, tiny_model: Path, content: str) -> None:
    (tmp_path / "c.jsonl").write_text(content)
    code, said = fails("embed", "c.jsonl", "--model", tiny_model, "--to", "out")
    assert (code, "no rows" in said and "c.jsonl" in said) == (2, True)


def test_no_such_file(fails: Fails, tiny_model: Path) -> None:
    code, said = fails("embed", "nowhere/*.jsonl", "--model", tiny_model, "--to", "out")
    assert (code, "nowhere" in said) == (2, True)


def test_an_unknown_model(fails: Fails, good: Path) -> None:
    code, said = fails("embed", good, "--model", "someone/no-such-model", "--to", "out")
    assert (code, "someone/no-such-model" in said) == (2, True)


def test_a_folder_that_is_no_model(fails: Fails, good: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, said = fails("embed", good, "--model", "./empty", "--to", "out")
    assert (code, "config.json" in said and "empty" in said) == (2, True)


def test_a_prompt_that_the_model_does_not_have(fails: Fails, good: Path, tiny_model: Path) -> None:
    code, said = fails("embed", good, "--model", tiny_model, "--to", "out", "--prompt-name", "poem")
    assert (code, "poem" in said and "document" in said) == (2, True)


def test_an_output_that_cannot_be_written(fails: Fails, good: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    code, said = fails("embed", good, "--model", tiny_model, "--to", "file/out")
    assert (code, "file" in said and "cannot write" in said) == (2, True)


def test_a_folder_with_other_things_in_it(fails: Fails, good: Path, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    code, said = fails("embed", good, "--model", tiny_model, "--to", "out")
    assert (code, "thesis.tex" in said) == (2, True)


def test_a_redis_that_is_not_there(fails: Fails, good: Path, tiny_model: Path) -> None:
    code, said = fails("embed", good, "--model", tiny_model, "--to", "out", "--broker", "redis://:secret@127.0.0.1:1/0")
    assert (code, "127.0.0.1:1" in said and "refused" in said) == (1, True)
    assert "secret" not in said


def test_a_redis_that_wants_a_password(fails: Fails, good: Path, tiny_model: Path, server: RedisServer) -> None:
    for url in (f"redis://{server.url.rpartition('@')[2]}", server.url.replace("://:", "://:wrong")):
        code, said = fails("embed", good, "--model", tiny_model, "--to", "out", "--broker", url)
        assert (code, "password" in said) == (1, True), said


def test_a_redis_that_would_evict_jobs(fails: Fails, good: Path, tiny_model: Path, server: RedisServer) -> None:
    import redis

    redis.Redis.from_url(server.url).config_set("maxmemory-policy", "allkeys-lru")
    code, said = fails("embed", good, "--model", tiny_model, "--to", "out", "--broker", server.url)
    assert (code, "noeviction" in said) == (1, True)


def test_a_run_id_that_could_name_another_folder(fails: Fails, good: Path, tiny_model: Path) -> None:
    code, said = fails("embed", good, "--model", tiny_model, "--to", "out", "--run-id", "../elsewhere")
    assert (code, "--run-id" in said) == (2, True)


def test_a_run_that_nobody_knows(fails: Fails) -> None:
    code, said = fails("resume", "no-such-run")
    assert (code, "no-such-run" in said and "TABLE" in said) == (2, True)


def test_an_option_that_does_not_exist(fails: Fails, good: Path) -> None:
    code, said = fails("embed", good, "--modle", "x", "--to", "out")
    assert (code, "--model" in said) == (2, True)


def test_nothing_was_left_behind(fails: Fails, good: Path, tmp_path: Path) -> None:
    before = sorted(os.listdir(tmp_path))
    fails("embed", good, "--model", "someone/no-such-model", "--to", "out")
    assert sorted(os.listdir(tmp_path)) == before
