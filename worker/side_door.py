"""The side door for a process that may not import torch: what a model is, vectors of a few texts, and its speed here.

python -m worker inspect MODEL [options] --json
python -m worker device --device auto
python -m worker embed < {"spec": ..., "texts": [...], "device": "cpu", "prompt": null, "task": "query"} > vectors.npy
python -m worker measure < {"spec": ..., "texts": [...], "device": "cpu", "seconds": 3} > facts.json
"""

import argparse
import json
import os
import sys
from typing import Any, get_args

import numpy as np
import torch

from schemas.errors import UsageError, VecmillError
from schemas.spec import Dtype, ModelOptions, PoolingMode, Spec, Task
from schemas.text import EXAMPLE
from worker.engine import Embedder
from worker.engine.device import device_name, pick_device, pick_dtype
from worker.engine.example import follow, model_facts
from worker.engine.measure import measure


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code says how it went, and an error's text goes to stderr."""
    asked = vars(_parser().parse_args(arguments))
    if "OMP_NUM_THREADS" not in os.environ:
        # As a worker on a CPU, so that what is told and encoded here is what one would do.
        torch.set_num_threads(1)
    try:
        return int(asked.pop("command")(**asked))
    except VecmillError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _inspect(device: str, *, as_json: bool, text: str, **options: object) -> int:
    embedder = Embedder.from_options(ModelOptions.model_validate(options), device=device)
    spec = embedder.spec
    facts = {"spec": spec.model_dump(mode="json"), "fingerprint": spec.fingerprint, **embedder.describe()}
    facts |= model_facts(embedder, asked_device=device) | {"example": follow(embedder, text)}
    sys.stdout.write(json.dumps(facts, indent=None if as_json else 2, ensure_ascii=False) + "\n")
    return 0


def _device(device: str) -> int:
    picked = pick_device(device)
    facts = {"device": str(picked), "name": device_name(picked), "dtype": str(pick_dtype("auto", picked))}
    sys.stdout.write(json.dumps(facts | {"dtype": facts["dtype"].removeprefix("torch.")}) + "\n")
    return 0


def _embed() -> int:
    request, spec, texts, device = _asked()
    side: dict[str, Any] = {"prompt": request.get("prompt"), "task": request.get("task")}
    np.save(sys.stdout.buffer, Embedder.from_spec(spec, device=device).embed(texts, **side))
    return 0


def _measure() -> int:
    request, spec, texts, device = _asked()
    facts = measure(Embedder.from_spec(spec, device=device), texts, seconds=float(request.get("seconds", 3)))
    sys.stdout.write(json.dumps(facts) + "\n")
    return 0


def _asked() -> tuple[dict[str, Any], Spec, list[str], str]:
    """The request on stdin, and what each has of it: spec, texts, device."""
    try:
        request = json.load(sys.stdin)
        spec = Spec.model_validate(request["spec"])
        return request, spec, list(request["texts"]), str(request.get("device", "cpu"))
    except (ValueError, KeyError, TypeError) as cause:
        raise UsageError(f"no request on stdin: {cause}", way_out='send {"spec": ..., "texts": [...]}') from cause


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    inspect = commands.add_parser("inspect", help="the resolved spec of a model, and how it would run here")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("model")
    for name in ("revision", "prompt", "prompt-name"):
        inspect.add_argument(f"--{name}")
    for name, values in (("task", Task), ("pooling", PoolingMode), ("dtype", Dtype)):
        inspect.add_argument(f"--{name}", choices=get_args(values), default="auto" if name == "dtype" else None)
    for name in ("dims", "max-tokens"):
        inspect.add_argument(f"--{name}", type=int)
    inspect.add_argument("--normalize", action=argparse.BooleanOptionalAction)
    inspect.add_argument("--trust-remote-code", action="store_true")
    inspect.add_argument("--text", default=EXAMPLE, help="the text to follow from its tokens to its vector")
    inspect.add_argument("--device", default="cpu")
    inspect.add_argument("--json", action="store_true", dest="as_json")
    device = commands.add_parser("device", help="the device that a worker here would use")
    device.set_defaults(command=_device)
    device.add_argument("--device", default="auto")
    embed = commands.add_parser("embed", help="vectors of the texts on stdin, as a .npy file on stdout")
    embed.set_defaults(command=_embed)
    measuring = commands.add_parser("measure", help="tokens of the texts on stdin, and tokens a second here")
    measuring.set_defaults(command=_measure)
    return parser
