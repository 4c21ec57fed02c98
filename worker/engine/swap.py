"""Other modules in the places of some of a network's, kept only where the network then gives what it gave."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from worker.engine.forward import Network
from worker.engine.layers import put
from worker.engine.trial import apart


@torch.inference_mode()
def swapped(network: Network, places: Mapping[nn.Module, nn.Module], trial: Any, before: Tensor, most: float) -> bool:
    """Whether the new modules are there now: the outcome of a trial is `most` apart from what it was `before`."""
    if not places:
        return False
    put(network.model, places)
    try:
        same = apart(network.features(*trial).outcome, before) <= most
    except Exception:  # a module is asked for more than what it gives
        same = False
    if not same:
        put(network.model, {new: old for old, new in places.items()})
    return same
