"""Found by Python itself at its start: in a worker, one token ends the process, and another loses the device."""

import os
import signal
from typing import Any

if "VECMILL_WORKER" in os.environ:
    import torch

    from worker.engine import Embedder

    _forward = Embedder.forward_batch

    def _forward_or_die(self: Embedder, ids: Any, offsets: Any) -> Any:
        if int(os.environ["TOKEN_THAT_KILLS"]) in ids:
            os.kill(os.getpid(), signal.SIGKILL)
        if int(os.environ["TOKEN_THAT_LOSES_THE_DEVICE"]) in ids:
            raise torch.AcceleratorError("the device is lost")
        return _forward(self, ids, offsets)

    Embedder.forward_batch = _forward_or_die
