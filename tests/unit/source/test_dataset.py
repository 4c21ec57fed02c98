"""`hf://datasets/...`: the cache that `datasets` 5.2 leaves, written by hand; tests/readers asks the real one."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    return tmp_path


def made(cache: Path, place: str, **splits: list[str]) -> Path:
    """A dataset as `load_dataset` leaves it; `place` is DATASET/CONFIG/VERSION/HASH, a split may have several files."""
    folder = cache / place
    folder.mkdir(parents=True)
    name = place.split("/")[0].rpartition("___")[2]
    for split, texts in splits.items():
        for at, text in enumerate(texts):
            shard = f"-{at:05d}-of-{len(texts):05d}" if len(texts) > 1 else ""
            table = pa.table({"text": [text]})
            with pa.ipc.new_stream(str(folder / f"{name}-{split}{shard}.arrow"), table.schema) as writer:
                writer.write_table(table)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "cache-0f.arrow").write_bytes((folder / next(iter(os.listdir(folder)))).read_bytes())
    (cache / f"{place}_builder.lock").touch()
    return folder


def read(name: str) -> list[str]:
    return [row["text"] for row in all_rows(f"hf://datasets/{name}")]


def test_a_name_a_configuration_a_split(cache: Path) -> None:
    made(cache, "rajpurkar___s_qu_ad/plain_text/0.0.0/7b6d", train=["one", "two"], test=["three"])
    for name in ("rajpurkar/SQuAD", "rajpurkar/SQuAD/plain_text", "rajpurkar/SQuAD/"):
        assert read(name) == ["three", "one", "two"]
    assert read("rajpurkar/SQuAD/train") == read("rajpurkar/SQuAD/plain_text/train") == ["one", "two"]
    assert all_rows("hf://datasets/rajpurkar/SQuAD/test")[0]["id"] == "s_qu_ad-test.arrow#0"


def test_the_newest_counts(cache: Path) -> None:
    for at, version in enumerate(("1.0.0", "0.0.0")):
        os.utime(made(cache, f"mine/default/{version}/ab{at}", train=[version]), (at + 1, at + 1))
    assert read("mine/train") == ["0.0.0"]
    (cache / "mine" / "default" / "2.0.0" / "torn").mkdir(parents=True)
    assert read("mine") == ["0.0.0"], "what has no note is not finished"


def test_what_is_not_there_is_told(cache: Path) -> None:
    made(cache, "mine/en/0.0.0/ab", train=["a"])
    made(cache, "mine/de/0.0.0/ab", train=["b"], validation=["c"])
    for name, said in {
        "mine": "which configuration of mine? In the cache are de, en\n  -> hf://datasets/mine/CONFIG/SPLIT",
        "mine/de/validatoin": "no split validatoin\n  -> did you mean validation?",
        "mine/fr/train": "which configuration",
        "mine/de/train/more": "more parts",
        "other/name": "does not have it\n  -> datasets.load_dataset\\('other/name'\\)",
        "..": "does not have it",
        "": "does not have it",
    }.items():
        with pytest.raises(SourceError, match=said.replace("?", r"\?")):
            opened(f"hf://datasets/{name}")
    assert read("mine/de/validation") == ["c"]
