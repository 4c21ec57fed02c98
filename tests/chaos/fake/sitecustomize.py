"""Found by Python itself at its start: the real worker with a fake engine, and switches for faults of disk and clock.

Switches are files in the folder `CHAOS_SWITCHES`: `fast` (encoding takes no time), `disk` (an errno that writing
files of a table fails with), `clock` (seconds that this process's clock is wrong by).
"""

import os
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

if "CHAOS_SWITCHES" in os.environ:
    SWITCHES = Path(os.environ["CHAOS_SWITCHES"])
    _clock = time.time

    def _switch(name: str) -> str:
        try:
            return (SWITCHES / name).read_text()
        except FileNotFoundError:
            return ""

    def _wrong_clock() -> float:
        return _clock() + float(_switch("clock") or 0)

    time.time = _wrong_clock

    def _break_disk() -> None:
        from schemas import durable

        def _open(*arguments: Any) -> Any:
            number = int(_switch("disk") or 0)
            if number:
                raise OSError(number, os.strerror(number))
            return open(*arguments)

        durable.open = _open

    _break_disk()

if "CHAOS_SWITCHES" in os.environ and "VECMILL_WORKER" in os.environ:
    from concurrent.futures import Future, ThreadPoolExecutor

    import numpy as np

    import worker
    from tests.chaos.arithmetic import vectors_of

    class Embedder:
        """Of the names that the worker imports; its tokens are the texts themselves."""

        def __init__(self, spec: Any) -> None:
            self.spec = spec

        def tokens(self, texts: list[str]) -> Any:
            lengths = np.array([len(text) for text in texts], dtype=np.int64)
            return SimpleNamespace(texts=texts, lengths=lengths, truncated=np.zeros(len(texts), dtype=bool))

        def describe(self) -> dict[str, str]:
            return {"device": "cpu", "dtype": "float32"}

    class Engine:
        """One thread, as the real one; a text takes so many seconds until it is told to be fast."""

        alive = True

        def __init__(self) -> None:
            self._thread = ThreadPoolExecutor(1)

        def submit(self, embedder: Embedder, tokens: Any) -> "Future[Any]":
            return self._thread.submit(self._encode, tokens)

        def close(self) -> None:
            self._thread.shutdown(wait=False, cancel_futures=True)

        def _encode(self, tokens: Any) -> Any:
            from worker.engine.submission import Work

            until = time.monotonic() + len(tokens.texts) * float(os.environ["CHAOS_SECONDS_PER_TEXT"])
            while time.monotonic() < until and not _switch("fast"):
                time.sleep(0.02)
            return SimpleNamespace(vectors=vectors_of(tokens.texts), failures={}, work=Work())

    class Models:
        def __init__(self, **_: Any) -> None:
            pass

        def load(self, spec: Any) -> Embedder:
            return Embedder(spec)

        def describe(self) -> tuple[str, tuple[str, ...]]:
            return "cpu", ()

    engine, models = ModuleType("worker.engine"), ModuleType("worker.models")
    # Its modules that need no torch are the real ones.
    engine.__path__ = [os.path.join(worker.__path__[0], "engine")]
    sys.modules["worker.engine"], sys.modules["worker.models"] = engine, models
    from worker.engine.submission import Work

    engine.Engine, engine.Embedder, engine.Work, models.Models = Engine, Embedder, Work, Models

    from moments import in_a_worker

    in_a_worker()
elif "CHAOS_SWITCHES" in os.environ and "producer" in sys.orig_argv:
    from moments import in_a_producer

    in_a_producer()
