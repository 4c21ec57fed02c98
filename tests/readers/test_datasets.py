"""What `datasets` has left on the disk is read as `datasets` itself reads it."""

import json

import pytest

from producer.source import open_source
from schemas.run import SourceOptions
from tests.unit.source.corpora import all_rows

pytestmark = pytest.mark.readers


def test_the_cache_and_a_saved_folder(tmp_path, monkeypatch):
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "Some-Corpus").mkdir()
    for split, count in (("train", 3_000), ("test", 7)):
        rows = ({"id": f"{split}{n}", "text": f"text {n} 漢字", "about": {"lang": "de"}} for n in range(count))
        (tmp_path / "Some-Corpus" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loaded = datasets.load_dataset("Some-Corpus", cache_dir=str(tmp_path / "cache"))
    loaded["train"].map(lambda row: {"text": row["text"].upper()})
    saved = loaded["train"].filter(lambda row: row["id"].endswith("7"))
    saved.save_to_disk("saved", num_shards=3)

    def pairs(rows):
        return [(row["id"], row["text"]) for row in rows]

    for split in "train", "test":
        found = all_rows(f"hf://datasets/Some-Corpus/{split}", keep=("about.lang",))
        assert pairs(found) == pairs(loaded[split])
        assert {row["about_lang"] for row in found} == {"de"}
    assert len(pairs(all_rows("hf://datasets/Some-Corpus"))) == 3_007
    assert pairs(all_rows(tmp_path / "saved")) == pairs(saved)
    assert len(open_source(SourceOptions(paths=(str(tmp_path / "saved"),))).files) == 3
