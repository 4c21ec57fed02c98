"""What the tests of the kernels share."""

import os
import shutil

import pytest
import torch

#: A laptop may lack a compiler, and Vecmill does without; in CI that would hide all of this.
_COMPILES = "CI" in os.environ or any(map(shutil.which, ("cc", "gcc", "clang")))
needed = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() != "AVX512" or not _COMPILES,
    reason="the kernels are for AVX-512, and need a C compiler",
)


def normal(*shape, seed=0, kind=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(kind)
