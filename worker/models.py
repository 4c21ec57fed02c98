"""The models that are loaded on this worker's device: loaded once, kept while they are in use."""

import logging
import threading
from collections import OrderedDict
from typing import Any

import torch

from schemas.spec import Spec
from worker.engine import Embedder
from worker.engine.device import pick_device
from worker.memory import keep_freed_memory

log = logging.getLogger(__name__)

#: Models kept on the device at once; the one unused for longest makes room.
MOST_MODELS = 2


class Models:
    """Loads each spec once, whichever job asks first."""

    def __init__(self, *, device: str, threads: int) -> None:
        picked = pick_device(device)
        self._device = str(picked)
        torch.set_num_threads(threads)
        if picked.type == "cpu":
            keep_freed_memory()
        self._loaded: OrderedDict[str, Embedder] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, spec: Spec) -> Embedder:
        """The embedder of a spec; raises `ModelError` where the files here are not the ones that the spec names."""
        with self._lock:
            embedder = self._loaded.get(spec.fingerprint)
            if embedder is None:
                log.info("loading %s", spec.model, extra={"action": "model_loading"})
                embedder = self._loaded[spec.fingerprint] = Embedder.from_spec(spec, device=self._device)
                log.info("loaded %s: %s", spec.model, _way(embedder.describe()), extra={"action": "model_loaded"})
            self._loaded.move_to_end(spec.fingerprint)
            while len(self._loaded) > MOST_MODELS:
                self._loaded.popitem(last=False)
            return embedder

    def describe(self) -> tuple[str, tuple[str, ...]]:
        """The device and what is loaded on it, for the heartbeat."""
        loaded = list(self._loaded.values())
        device = str(loaded[-1].device) if loaded else self._device
        return device, tuple(embedder.spec.model for embedder in loaded)


def _way(facts: dict[str, Any]) -> str:
    """How texts go through a model here, in a line of the log."""
    told = [
        facts["device"],
        facts.get("dtype", "float32"),
        facts["forward"],
        f"{facts['token_budget']:,} tokens a batch",
    ]
    told += [f"kernels {facts['kernels']}"] if "kernels" in facts else []
    return ", ".join([*told, *(facts[name] for name in ("budget", "lane", "reason") if name in facts)])
