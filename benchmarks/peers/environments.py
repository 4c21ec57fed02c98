"""A virtual environment for each peer's packages, made once under a cache folder; their pins differ from ours."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow

from benchmarks.peers.contenders import EXPORTERS, Environment, Peer

_HERE = Path(__file__).parent
#: Comes along for images, and its wheel does not load beside a torch for the CPU.
_HARMFUL = "torchvision"
#: Packages of NVIDIA's are gigabytes that a comparison on a CPU has no use for.
_UNWANTED = "nvidia-"
_INSTALL_SECONDS = 1800


class Unavailable(Exception):
    """A peer does not run here; the message says why."""


def python_of(peer: Peer, cache: Path) -> Path:
    """The interpreter that runs a peer; an Unavailable says why there is none."""
    return Path(sys.executable) if peer.environment is None else installed(peer.environment, cache)


def installed(environment: Environment, cache: Path) -> Path:
    """The environment's interpreter, made if it is not there yet."""
    folder = cache / environment.name
    python, said = folder / "bin" / "python", folder / "packages.json"
    named = any(package.startswith("pyarrow") for package in environment.packages)
    packages = [*environment.packages, *([] if named else [f"pyarrow=={pyarrow.__version__}"])]
    if said.exists() and json.loads(said.read_text()) == packages:
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input"]
    plan: dict[str, Any] = json.loads(_run([*pip, "--dry-run", "--report", "-", *packages]))
    unwanted = [one["metadata"]["name"] for one in plan["install"] if one["metadata"]["name"].startswith(_UNWANTED)]
    if unwanted:
        raise Unavailable(f"pip would install {unwanted[0]}: give pip an index that has torch for the CPU")
    _run([*pip, *packages])
    _run([str(python), "-m", "pip", "uninstall", "--quiet", "--yes", _HARMFUL])
    said.write_text(json.dumps(packages))
    return python


def model_of(peer: Peer, model: str, texts: Path, cache: Path) -> str:
    """The folder of the model as the peer wants it, exported if need be."""
    if not peer.export:
        return model
    folder = cache / f"{peer.export}-model"
    done = folder / "exported"
    if not done.exists():
        script = str(_HERE / "exports" / f"{peer.export}.py")
        _run([str(installed(EXPORTERS[peer.export], cache)), "-P", script, model, str(folder), str(texts)])
        done.touch()
    return str(folder)


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{type(error).__name__}: {error}") from error
    if done.returncode:
        raise Unavailable(last_words(done.stderr) or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def last_words(stderr: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
