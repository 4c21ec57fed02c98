"""The models that are loaded on this worker's device: loaded once, kept while they are in use."""

import logging
import threading
from collections import OrderedDict

from schemas.spec import Spec
from worker.engine.embedder import Embedder

log = logging.getLogger(__name__)

#: Models kept on the device at once; the one unused for longest makes room.
MOST_MODELS = 2


class Models:
    """Loads each spec once, whichever job asks first."""

    def __init__(self, *, device: str) -> None:
        self.device = device
        self._loaded: OrderedDict[str, Embedder] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, spec: Spec) -> Embedder:
        """The embedder of a spec; raises `ModelError` where the files here are not the ones that the spec names."""
        with self._lock:
            embedder = self._loaded.get(spec.fingerprint)
            if embedder is None:
                log.info("loading %s", spec.model, extra={"action": "model_loading"})
                embedder = self._loaded[spec.fingerprint] = Embedder.from_spec(spec, device=self.device)
            self._loaded.move_to_end(spec.fingerprint)
            while len(self._loaded) > MOST_MODELS:
                self._loaded.popitem(last=False)
            return embedder

    def names(self) -> tuple[str, ...]:
        """What is loaded, for the heartbeat."""
        return tuple(embedder.spec.model for embedder in list(self._loaded.values()))
