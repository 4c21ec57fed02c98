"""What the tests of the kernels share."""

import os
import shutil
from contextlib import contextmanager

import pytest
import torch

#: A laptop may lack a compiler, and Vecmill does without; in CI that would hide all of this.
_COMPILES = "CI" in os.environ or any(map(shutil.which, ("cc", "gcc", "clang")))
needed = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512") or not _COMPILES,
    reason="the kernels are for AVX2 and AVX-512, and need a C compiler",
)
#: Whether this CPU has products of bfloat16, without which no kernel has them.
HAS_HALVES = torch.cpu._is_avx512_bf16_supported()
_FLOATS = [torch.float32, *([torch.bfloat16] if HAS_HALVES else [])]
each_float = pytest.mark.parametrize("kind", _FLOATS)
floats_or_integers = pytest.mark.parametrize("integers", [False, True])
needs_all = pytest.mark.skipif(
    needed.args[0] or not HAS_HALVES or torch.cpu._is_amx_tile_supported(),
    reason="int8 around attention in bfloat16 is for AVX-512 with bfloat16, without AMX, and needs a C compiler",
)


def normal(*shape, seed=0, kind=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(kind)


@contextmanager
def several_threads():
    """Meanwhile torch computes with two threads, and there are no kernels."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
