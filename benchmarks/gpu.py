"""How fast a GPU is made to work: models of public shapes with random weights, texts of about 57, 128 and 512 tokens.

    python -m benchmarks.gpu                         # under ten minutes on one GPU
    python -m benchmarks.gpu --device cpu --small    # the same steps with tiny models, to see that they run

For each model and length: tokens a second of the engine alone (from token ids), from texts (tokenizing in threads, as
in a worker), their share of the card's measured ceiling in matrix products, how long the GPU was busy and the host;
beside sentence-transformers at its default batch of 32 and at its best. Then `vecmill embed` through Redis and Celery
to Parquet against the engine from texts. What there was no time for is said. The last line of stdout is one JSON
object.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import machine
from benchmarks.gpu_models import SHAPES, SMALL, Shape, flops_per_token, texts_of, write_model
from benchmarks.gpu_speed import busy_share, ceiling, end_to_end, engine_speed, lengths_of, rival_speeds, tried
from benchmarks.gpu_table import table
from worker.engine import Embedder
from worker.engine.device import device_name, pick_device, pick_dtype

LENGTHS = (512, 57, 128)


@dataclass(frozen=True, slots=True)
class Setting:
    """How it is measured; `until` is of time.monotonic."""

    device: str
    small: bool
    until: float
    work: Path
    ceiling: float
    dtype: torch.dtype

    @property
    def late(self) -> bool:
        """Whether there is no time for more."""
        return time.monotonic() > self.until


def main() -> None:
    options = _options()
    until = time.monotonic() + options.minutes * 60
    place = pick_device(options.device)
    dtype = pick_dtype("auto", place)
    top = ceiling(options.device, dtype, size=256 if options.small else 8192, seconds=0.2 if options.small else 2.0)
    with tempfile.TemporaryDirectory(prefix="vecmill-gpu-") as folder:
        setting = Setting(options.device, options.small, until, Path(folder), top, dtype)
        rows = [row for shape in (SMALL if options.small else SHAPES) for row in of_model(setting, shape)]
    print(table(rows))
    facts = {"device": device_name(place), "ceiling_tflops": round(top / 1e12, 3), "rows": rows}
    print(json.dumps(facts | machine.facts()))


def of_model(setting: Setting, shape: Shape) -> list[dict[str, Any]]:
    """All lengths of one model, then the whole of Vecmill with the last of them."""
    if setting.late:
        return [{"model": shape.name, "failed": "no time was left"}]
    print(f"{shape.name} ...", file=sys.stderr)
    folder = setting.work / shape.name.replace(" ", "-")
    folder.mkdir()
    made = tried(lambda: Embedder.load(write_model(shape, folder, setting.dtype), device=setting.device))
    if isinstance(made, dict):
        return [{"model": shape.name, **made}]
    facts = made.describe()
    wanted = [(length, mixed) for length in LENGTHS for mixed in (False, True)]
    rows = [{"model": shape.name, **of_length(setting, shape, made, *one)} for one in wanted]
    rows[0] |= {name: facts[name] for name in ("dtype", "way", "lane", "budget", "token_budget") if name in facts}
    if shape.name in ("BERT-base", "tiny BERT") and not setting.late:
        texts = texts_of(shape, length=128, mixed=True, tokens=_tokens(setting, made, 128, 10.0))
        alone = tried(lambda: engine_speed(made, texts, tokenized=False))
        whole = tried(lambda: end_to_end(folder, texts, setting.work, setting.device))
        rows.append({"model": shape.name, "length": "128 mixed, end to end", "engine": whole, "alone": alone})
        if "tokens_per_second" in alone and "tokens_per_second" in whole:
            rows[-1]["share_of_engine"] = round(whole["tokens_per_second"] / alone["tokens_per_second"], 3)
    return rows


def of_length(setting: Setting, shape: Shape, made: Embedder, length: int, mixed: bool) -> dict[str, Any]:
    """One row of the table."""
    row: dict[str, Any] = {"length": f"{length}{' mixed' if mixed else ''}"}
    if setting.late:
        return row | {"failed": "no time was left"}
    texts = texts_of(shape, length=length, mixed=mixed, tokens=_tokens(setting, made, length, 2.0))
    lengths = lengths_of(made, texts)
    work = flops_per_token(made.parts.folder, float((lengths.astype(float) ** 2).mean()), float(lengths.mean()))
    row["engine"] = tried(lambda: engine_speed(made, texts, tokenized=True))
    row["texts"] = tried(lambda: engine_speed(made, texts, tokenized=False))
    row["busy_share"] = tried(lambda: busy_share(made, texts))
    if "tokens_per_second" in row["engine"]:
        row["share_of_ceiling"] = round(row["engine"]["tokens_per_second"] * work / setting.ceiling, 4)
    if mixed:
        given = {"tokens": int(lengths.sum()), "device": setting.device, "until": setting.until}
        row["rival"] = tried(lambda: rival_speeds(made.parts.folder, texts, **given))
        _compare(row)
    return row


def _compare(row: dict[str, Any]) -> None:
    ours, rival = row["texts"].get("tokens_per_second"), row["rival"]
    if ours and "32" in rival:
        row |= {"to_default": round(ours / rival["32"], 2), "to_best": round(ours / max(rival.values()), 2)}


def _tokens(setting: Setting, made: Embedder, length: int, seconds: float) -> int:
    """So many that measuring takes about as long as it should."""
    if setting.small:
        return 8_000
    texts = ["w1 " * (length - 2)] * max(1, 4 * made.token_budget // length)
    speed = engine_speed(made, texts, tokenized=True)["tokens_per_second"]
    return int(speed * seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="where (default cuda)")
    parser.add_argument("--small", action="store_true", help="tiny models and few texts, to see that all steps run")
    parser.add_argument("--minutes", type=float, default=8.5, help="begin nothing after so long (default 8.5)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
