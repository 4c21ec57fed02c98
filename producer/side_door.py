"""Asks the worker's side on this machine for what only it can do: inspect a model, encode a few texts, time it.

The producer imports no torch, so this runs `python -m worker` and speaks JSON and .npy with it.
"""

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import UsageError, VecmillError
from schemas.spec import ModelOptions, Spec, Task
from schemas.text import EXAMPLE


def inspect(options: ModelOptions, *, device: str, text: str = EXAMPLE) -> dict[str, Any]:
    """What will happen to a text: the spec, and how this machine would run it."""
    given = options.model_dump(mode="json", exclude_none=True, exclude={"model", "normalize", "trust_remote_code"})
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    if options.normalize is not None:
        arguments.append("--normalize" if options.normalize else "--no-normalize")
    if options.trust_remote_code:
        arguments.append("--trust-remote-code")
    answer: dict[str, Any] = json.loads(
        _ask("inspect", options.model, *arguments, f"--text={text}", "--device", device, "--json")
    )
    return answer


def device(wanted: str) -> dict[str, Any]:
    """The device that a worker here would use: `device`, `name`, and the `dtype` that auto means there."""
    found: dict[str, Any] = json.loads(_ask("device", "--device", wanted))
    return found


def encode(
    spec: Spec,
    texts: Sequence[str],
    *,
    device: str,
    prompt: str | None = None,
    task: Task | None = None,
    trust_remote_code: bool = False,
) -> NDArray[np.float32]:
    """The vectors of a few texts, float32 [n, dims], as a worker would give them; None: with the spec's prompt."""
    if spec.trust_remote_code and not trust_remote_code:
        # The spec comes out of a table, which may be a stranger's.
        raise UsageError(
            f"the model {spec.model!r} brings code of its own, which would run here",
            way_out="--trust-remote-code, if you trust that code",
        )
    request = {
        "spec": spec.model_dump(mode="json"), "texts": list(texts), "device": device, "prompt": prompt, "task": task
    }  # fmt: skip
    vectors: NDArray[np.float32] = np.load(io.BytesIO(_ask("embed", request=request)), allow_pickle=False)
    return vectors


def measure(spec: Spec, texts: Sequence[str], *, device: str, seconds: float, env: Mapping[str, str]) -> dict[str, Any]:
    """Tokens of each text, whether it is truncated, and tokens a second of one worker with this environment."""
    request = {"spec": spec.model_dump(mode="json"), "texts": list(texts), "device": device, "seconds": seconds}
    facts: dict[str, Any] = json.loads(_ask("measure", request=request, env=env))
    return facts


def _ask(
    verb: str, *arguments: str, request: dict[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> bytes:
    if find_spec("torch") is None:
        raise UsageError(f"{verb} needs torch on this machine", way_out="pip install 'vecmill[worker]'")
    # -P: whatever lies in the current folder must not pass for the worker.
    command = [sys.executable, "-P", "-m", "worker", verb, *arguments]
    given = b"" if request is None else json.dumps(request).encode()
    done = subprocess.run(command, input=given, capture_output=True, check=False, env=env)
    if done.returncode:
        error = VecmillError(done.stderr.decode(errors="replace").strip() or f"the worker's {verb} failed")
        error.exit_code = done.returncode
        raise error
    return done.stdout
