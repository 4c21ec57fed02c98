"""A forward pass on a CPU, in C: compiled here when first wanted, and kept.

Torch takes several passes over the numbers, and through memory, where one in the cache would do. Where there is no
compiler, or no AVX2, or the numbers come out wrong when tried, there are no kernels, and torch computes as before.
Knows arrays, and no network.
"""

from worker.engine.kernels.calls import Kernels
from worker.engine.kernels.encoder import Encoder, EncoderParts
from worker.engine.kernels.found import kernels, why_none
from worker.engine.kernels.layer import Layer, Norm
from worker.engine.kernels.lookup import Entry, Lookup

__all__ = ["Encoder", "EncoderParts", "Entry", "Kernels", "Layer", "Lookup", "Norm", "kernels", "why_none"]
