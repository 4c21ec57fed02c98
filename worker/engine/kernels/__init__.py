"""What of a forward pass on a CPU is no matrix product, in C: compiled here when first wanted, and kept.

Torch takes several passes over the numbers where one would do. Where there is no compiler, or no AVX-512, or the
numbers come out wrong when tried, there are no kernels, and torch computes as before. Knows arrays, and no network.
"""

from worker.engine.kernels.build import built
from worker.engine.kernels.calls import Kernels
from worker.engine.kernels.found import kernels, why_none

__all__ = ["Kernels", "built", "kernels", "why_none"]
