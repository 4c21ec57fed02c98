"""The sources for every kind of CPU that they are for, whichever this one is."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.kernels.checks import needed
from worker.engine import build
from worker.engine.kernels import Kernels, found

_AVX2 = {"avx2", "fma", "bmi1", "bmi2", "movbe"}
_AVX512 = _AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
#: By the name that compilers have for it, the flags of /proc/cpuinfo that it takes to run what is compiled.
CPUS = {
    "haswell": _AVX2,
    "skylake-avx512": _AVX512,
    "cascadelake": _AVX512 | {"avx512_vnni"},
    "cooperlake": _AVX512 | {"avx512_vnni", "avx512_bf16"},
}
pytestmark = needed


def compiled(cpu, folder):
    library = Path(folder) / f"{cpu}.so"
    flags = [f"-march={cpu}" if flag == "-march=native" else flag for flag in build._FLAGS]
    sources = [str(source) for source in found._SOURCES if source.suffix == ".c"]
    command = [build._compiler(), *flags, "-Wall", "-Wextra", "-Werror", "-o", str(library), *sources]
    subprocess.run(command, check=True, timeout=120)
    return library


def here():
    processor = Path("/proc/cpuinfo")
    lines = processor.read_text().splitlines() if processor.exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


@pytest.mark.parametrize("cpu", CPUS)
def test_they_compile_for_each_without_a_warning(cpu, tmp_path):
    assert compiled(cpu, tmp_path).exists()


@pytest.mark.parametrize("cpu", [cpu for cpu, flags in CPUS.items() if flags <= here()])
def test_what_is_compiled_for_lesser_cpus_is_right_too(cpu, tmp_path):
    made = Kernels(compiled(cpu, tmp_path))
    assert found._problem(made) == ""
    assert made.has_pairs == (cpu == "cooperlake")
