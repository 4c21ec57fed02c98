"""Which way texts go through a network, decided by trying when it is loaded: some sequences packed against one by one.

No list of model names can know what the next version of a network does with its keyword arguments.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schemas.spec import Spec
from worker.engine import attention
from worker.engine.forward import Network, Way
from worker.engine.token_types import TokenTypes
from worker.engine.tokens import Ids, Offsets, offsets_of

_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
_HALVES = (torch.bfloat16, torch.float16)
#: Neighbours of unlike length, and the shortest there is; each goes twice, so that runs are tried too.
_TRIAL_LENGTHS = frozenset({37, 11, 4, 1})
#: A sliding window shows only in a longer text; beyond this length the trial itself would take too long.
_LONGEST_TRIAL = 1024


def decide(model: Any, spec: Spec, *, device: torch.device, types: TokenTypes | None = None) -> Network:
    """`model` with the fastest forward that a trial finds equal to one by one."""
    config = spec.modules[0].config
    padding = getattr(model.config, "pad_token_id", None)
    padded = Network(
        model=model,
        device=device,
        way="padded",
        reason="",
        first_position=_first_position(model),
        padding_id=0 if padding is None else int(padding),
        layered=bool(model.config.output_hidden_states),
        types=types,
    )
    if types is not None:
        own = "the model's own code takes token types"
        return replace(padded, reason=own if types.plain else "its special tokens have a type of their own")
    if config.get("method") is not None:
        reason = f"the vector is the network's own, by {config['method']}"
        return replace(padded, method=config["method"], output=config["output"], reason=reason)
    vocabulary = vocabulary_of(model)
    if vocabulary is None:
        return replace(padded, reason="how many tokens it knows is not to be found, so nothing could be tried")
    return _fastest(padded, *sequences(padded, vocabulary, spec.max_tokens))


def _fastest(padded: Network, ids: Ids, offsets: Offsets) -> Network:
    """The network by the first way that gives these texts what they get one by one; padded where none does."""
    usual = padded.model.config._attn_implementation
    single = _one_by_one(padded, ids, offsets)
    problems: list[str] = []
    for way in _ways(padded.device, single.dtype):
        tried = replace(padded, way=way)
        problem = _try(tried, ids, offsets, single) or _try_sharply(tried, ids, offsets, usual=usual)
        if not problem:
            reason = "equal to one by one when tried" + "".join(f"; {earlier}" for earlier in problems)
            return replace(tried, reason=reason)
        problems.append(f"{way} is not usable: {problem}")
    padded.model.set_attn_implementation(usual)
    return replace(padded, reason="; ".join(problems))


def _ways(device: torch.device, dtype: torch.dtype) -> tuple[Way, ...]:
    # The kernel that takes all at once exists on a GPU and in half precision only.
    return ("at-once", "runs") if device.type == "cuda" and dtype != torch.float32 else ("runs",)


def _try(network: Network, ids: Ids, offsets: Offsets, single: Tensor) -> str:
    attention.register()
    try:
        network.model.set_attn_implementation(attention.NAME)
        together = network.hidden(ids, offsets)
    except Exception as cause:  # whatever a network's reason to refuse, it means the same: not this way
        return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
    if together.shape != single.shape:
        return "the hidden states have another shape"
    worst = apart(together, single)
    return "" if worst <= tolerance(single.dtype) else f"it differs from one by one by {worst:.1e}"


def _try_sharply(network: Network, ids: Ids, offsets: Offsets, *, usual: str) -> str:
    """The trial once more in float32: half precision's tolerance is so wide that a wrong way can hide in it.

    On a CPU only: elsewhere twice the memory for the weights may not be there.
    """
    if network.device.type != "cpu" or network.model.dtype == torch.float32:
        return ""
    with _in_float32(network.model):
        try:
            network.model.set_attn_implementation(usual)
            single = _one_by_one(replace(network, way="padded"), ids, offsets)
        except Exception as cause:  # a network whose own code wants its half precision: what is not tried is not used
            return f"it cannot be tried in float32: {type(cause).__name__}"
        return _try(network, ids, offsets, single)


def _one_by_one(network: Network, ids: Ids, offsets: Offsets) -> Tensor:
    alone = (network.hidden(ids[begin:end], np.array([0, end - begin])) for begin, end in pairwise(offsets))
    return torch.cat(list(alone))


@contextmanager
def _in_float32(model: Any) -> Iterator[None]:
    """What is in half precision is in float32 meanwhile, and then again what it was, to the last bit."""
    narrow = [(tensor, tensor.data) for tensor in (*model.parameters(), *model.buffers()) if tensor.dtype in _HALVES]
    for tensor, data in narrow:
        tensor.data = data.float()
    try:
        yield
    finally:
        for tensor, data in narrow:
            tensor.data = data


def apart(states: Tensor, twins: Tensor) -> float:
    """By how much rows differ from their twins at most, relative to the twins' lengths."""
    difference = (states.float() - twins.float()).norm(dim=-1) / twins.float().norm(dim=-1).clamp(min=1e-9)
    return float(difference.max())


def tolerance(dtype: torch.dtype) -> float:
    """By how much two ways of computing the same may differ, relative to the length of a hidden state."""
    return _TOLERANCE[dtype]


def vocabulary_of(model: Any) -> int | None:
    """How many tokens a network knows; None where it does not say."""
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (NotImplementedError, AttributeError):  # a network of a model's own code need not say
        return None


def sequences(network: Network, vocabulary: int, max_tokens: int | None) -> tuple[Ids, Offsets]:
    """Texts of random tokens to try a network with, always the same: some of each length."""
    window = getattr(network.model.config, "sliding_window", None)
    beyond = {window + 9} if isinstance(window, int) and 0 < window < _LONGEST_TRIAL else set()
    wanted = {min(length, max_tokens or length) for length in _TRIAL_LENGTHS | beyond}
    offsets = offsets_of(np.repeat(sorted(wanted, reverse=True), 2))
    ids = np.random.default_rng(0).integers(0, vocabulary, size=int(offsets[-1]), dtype=np.int32)
    ids[ids == network.padding_id] = (network.padding_id + 1) % vocabulary
    return ids, offsets


def _first_position(model: Any) -> int:
    """The position of a text's first token: behind the padding index where a learned table keeps one."""
    for module in model.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), torch.nn.Embedding):
            return padding + 1
    return 0
