"""Linear layers whose weights are laid out once, at load, as our own products or oneDNN's read them; on a CPU.

torch hands float32 products to MKL, which does not use AVX-512 on every core that has it, and lays the weights of
bfloat16 products out anew at every call. Knows no model by name: a network that looks into its layers' weights, or
whose trial comes out otherwise, stays as it is.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from schemas.spec import Spec
from worker.engine.device import computes_bfloat16
from worker.engine.forward import Network
from worker.engine.kernel_linear import KernelLinear, is_best
from worker.engine.kernels import kernels
from worker.engine.layers import plain_linears, put
from worker.engine.packed_linear import PackedLinear
from worker.engine.trial import apart, sequences, tolerance, vocabulary_of


def prepacked(network: Network, spec: Spec) -> Network:
    """The network with its linear layers prepacked, where that is faster here and a trial finds nothing changed."""
    vocabulary = vocabulary_of(network.model)
    whose = _whose(network)
    if vocabulary is None or not whose:
        return network
    trial = sequences(network, vocabulary, spec.max_tokens)
    before = network.features(*trial)
    old = [linear for _, linear in plain_linears(network.model)]
    try:
        new = [_packed(linear) for linear in old]
        put(network.model, dict(zip(old, new, strict=True)))
        problem = _compare(before.outcome, network.features(*trial).outcome)
    except Exception as cause:  # whatever a network's own code does with a layer's weight
        problem = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
    if not problem:
        return replace(network, weights=f"prepacked for {whose}")
    put(network.model, dict(zip(new, old, strict=True)))
    return replace(network, weights=f"as loaded: prepacked, {problem}")


def _whose(network: Network) -> str:
    """Whose products are the fastest here, in words; nothing where those are torch's own."""
    own, dtype = kernels(), network.model.dtype
    if network.device.type == "cpu" and own is not None and own.multiplies(dtype):
        return "our own products"
    return "oneDNN" if gains(network.device, dtype) else ""


def _packed(linear: nn.Linear) -> nn.Module:
    own = kernels()
    return KernelLinear(linear, own) if own is not None and is_best(linear, own) else PackedLinear(linear)


def gains(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether prepacked products are faster than torch's own: measured in benchmarks/RESULTS.md."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if dtype == torch.bfloat16:
        return computes_bfloat16(device)
    return dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() == "AVX512"


def _compare(old: Tensor, new: Tensor) -> str:
    worst = apart(new, old)
    return "" if worst <= tolerance(old.dtype) else f"its outputs differ by {worst:.1e}"
