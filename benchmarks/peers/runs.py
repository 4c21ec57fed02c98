"""One run of one peer on one corpus, as a process of its own with a time limit; what it took, as a record."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.peers import quality
from benchmarks.peers.contenders import BASELINE, BATCH_SIZES, Peer
from benchmarks.peers.environments import Unavailable, last_words, model_of, python_of

_HERE = Path(__file__).parent
#: Texts on which batch sizes are tried.
_SAMPLE = 128
_FACTS = ("cpu_seconds", "seconds", "peak_bytes")


def clock_of(cores: int) -> str:
    """By which clock peers are compared on so many cores."""
    return "cpu" if cores == 1 else "wall"


@dataclass(frozen=True)
class Setting:
    """What all runs have in common."""

    model: str
    cache: Path
    cores: int
    limit_seconds: float
    #: The texts with which an export is calibrated.
    calibration: Path

    @property
    def clock(self) -> str:
        """What counts: on one core CPU time, which other work disturbs less; on several, how long it takes."""
        return clock_of(self.cores)


@dataclass(frozen=True)
class Bench:
    """One corpus, and what peers do with it."""

    setting: Setting
    name: str
    corpus: Path
    texts: int

    @property
    def reference(self) -> Path:
        """The baseline's vectors of these very texts: another installation has other docstrings."""
        digest = hashlib.blake2b(self.corpus.read_bytes(), digest_size=6).hexdigest()
        return self.corpus.with_name(f"{self.corpus.stem}-{digest}.npy")

    def tune(self, peer: Peer) -> dict[str, Any]:
        """The batch size that takes the least time on a sample."""
        sample = {"batch_sizes": BATCH_SIZES, "limit": _SAMPLE, "clock": self.setting.clock}
        with tempfile.TemporaryDirectory() as work:
            said = self._measured(peer, Path(work), self._command(peer, Path(work) / "out", {}, sample))
        return {key: said[key] for key in ("batch_size", "seconds_of_sizes")}

    def run(self, peer: Peer, options: dict[str, Any], limit: int | None = None) -> dict[str, Any]:
        """What one run took, and of all texts, how near its vectors are. An Unavailable says why there is none."""
        with tempfile.TemporaryDirectory(prefix="vecmill-peer-") as folder:
            work, out = Path(folder), Path(folder) / "out"
            command = self._command(peer, out, options, {} if limit is None else {"limit": limit})
            said = self._measured(peer, work, command)
            found = {key: said[key] for key in (*_FACTS, "dtype", "seconds_encode", "tokens") if key in said}
            if limit is None:
                ids, vectors = quality.vectors_of(out)
                if ids != pq.read_table(self.corpus, columns=["id"])["id"].to_pylist():
                    raise Unavailable("its ids are not those of the corpus, in order")
                found |= self._nearness(vectors, first=peer.name == BASELINE)
        return found

    def _nearness(self, vectors: quality.Vectors, *, first: bool) -> dict[str, Any]:
        """How near they are to the baseline's; nothing before it has run."""
        if first and not self.reference.exists():
            quality.keep(vectors, self.reference)
        return quality.compare(vectors, quality.kept(self.reference)) if self.reference.exists() else {}

    def _command(self, peer: Peer, out: Path, options: dict[str, Any], more: dict[str, Any]) -> list[str]:
        setting = self.setting
        if not peer.adapter:
            limit = ["--limit", str(more["limit"])] if "limit" in more else []
            return [
                sys.executable, "-m", "producer", "embed", str(self.corpus), "--model", setting.model, "--to", str(out),
                "--dtype", peer.options["dtype"], "--device", "cpu", "--workers", str(setting.cores), "--json", *limit,
            ]  # fmt: skip
        python = python_of(peer, setting.cache)
        threads = {"threads": 1 if peer.pool else setting.cores, "processes": setting.cores}
        task = {
            "adapter": str(peer.adapter_path), "corpus": str(self.corpus), "out": str(out),
            "model": model_of(peer, setting.model, setting.calibration, setting.cache),
            "options": peer.options | threads | options, **more,
        }  # fmt: skip
        return [str(python), "-P", str(_HERE / "child.py"), json.dumps(task)]

    def _measured(self, peer: Peer, work: Path, command: list[str]) -> dict[str, Any]:
        report = work / "measured.json"
        threads = "1" if peer.pool or not peer.adapter else str(self.setting.cores)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers.measured", str(report), str(self.setting.limit_seconds), *command],
            capture_output=True, text=True, check=False, env=_environment(work, threads),
        )  # fmt: skip
        if done.returncode:
            raise Unavailable(last_words(done.stderr) or f"ended with {done.returncode}")
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said | {key: json.loads(report.read_text())[key] for key in _FACTS}


def _environment(work: Path, threads: str) -> dict[str, str]:
    numbers = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), threads)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    return os.environ | numbers | offline | {"TOKENIZERS_PARALLELISM": "false", "XDG_STATE_HOME": str(work)}
