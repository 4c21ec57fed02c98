"""How many workers a machine bears: laws of the sizing, and a container's limits, read from files like the kernel's."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.embedded import machine
from producer.embedded.machine import WORKER_BYTES, Crew, fitting, gpus_for, threads_for, usable_cores, usable_memory
from producer.embedded.remarks import remarks
from producer.model import weight_bytes
from tests.unit.parts import a_spec

GIB = 2**30


@given(cores=st.integers(1, 512), memory=st.none() | st.integers(0, 2**44), weights=st.integers(0, 2**36))
def test_a_crew_has_no_more_threads_than_cores_and_fits_in_memory(cores, memory, weights):
    crew = fitting(cores, memory, weights)
    assert crew.workers >= 1
    assert crew.threads >= 1
    assert crew.workers * crew.threads <= cores
    if memory is not None and crew.workers > 1:
        assert crew.workers * (WORKER_BYTES + weights) <= memory


@pytest.mark.parametrize(
    ("cores", "gib", "weights_gib", "crew"),
    [(64, 512, 0.1, Crew(64, 1)), (64, 64, 1.3, Crew(14, 4)), (2, 1, 0.1, Crew(1, 2)), (8, None, 4, Crew(8, 1))],
)
def test_examples_of_crews(cores, gib, weights_gib, crew):
    assert fitting(cores, None if gib is None else gib * GIB, int(weights_gib * GIB)) == crew


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Writes the files that the kernel would show; without any, nothing is limited."""
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(16)))

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            path: Path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def test_nothing_said_is_no_limit(system):
    assert (usable_cores(), usable_memory()) == (16, None)


def test_the_tightest_limit_of_a_container_and_those_around_it_counts(system):
    system(
        {
            "own": "0::/pod/inner\n",
            "meminfo": "MemTotal: 99999 kB\nMemAvailable: 9000 kB\n",
            "cgroup/pod/cpu.max": "250000 100000\n",
            "cgroup/pod/memory.max": "6000000\n",
            "cgroup/pod/memory.current": "5500000\n",
            "cgroup/pod/memory.stat": "anon 500000\ninactive_file 4000000\n",
            "cgroup/pod/inner/cpu.max": "max 100000\n",
            "cgroup/pod/inner/memory.max": "max\n",
        }
    )
    assert usable_cores() == 2
    assert usable_memory() == 4_500_000


def test_version_one_too_and_half_a_core_is_one(system):
    system(
        {
            "own": "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n",
            "cgroup/cpu/box/cpu.cfs_quota_us": "50000",
            "cgroup/cpu/box/cpu.cfs_period_us": "100000",
            "cgroup/cpu/cpu.cfs_quota_us": "-1",
            "cgroup/memory/box/memory.limit_in_bytes": "3000",
            "cgroup/memory/box/memory.usage_in_bytes": "1000",
        }
    )
    assert (usable_cores(), usable_memory()) == (1, 2000)


@pytest.mark.parametrize(
    ("device", "gpus", "share", "threads"),
    [("cpu", 4, 0, 1), ("auto", 0, 0, 1), ("auto", 4, 4, 2), ("cuda:1", 4, 4, 2), ("cuda", 0, 1, 8), ("auto", 9, 9, 1)],
)
def test_a_worker_with_a_gpu_has_its_share_of_the_cores(monkeypatch, device, gpus, share, threads):
    monkeypatch.setattr("producer.embedded.machine.gpu_count", lambda: gpus)
    monkeypatch.setattr("producer.embedded.machine.usable_cores", lambda: 8)
    assert (gpus_for(device), threads_for(device)) == (share, threads)


def test_weights_are_measured_where_they_lie(tmp_path):
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"x" * 1000)
    (tmp_path / "2_Dense" / "model.safetensors").write_bytes(b"x" * 10)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x" * 5000)
    assert weight_bytes(a_spec(model=str(tmp_path))) == 1010
    assert weight_bytes(a_spec(model="nobody/no-such-model")) == 0


def said(system, crew: Crew, *, dtype: str = "auto", wanted: int | None = None, flags: str = "avx2") -> list[str]:
    system({"cpuinfo": f"model name : any\nflags\t\t: fpu {flags} sse\n"})
    return list(remarks(crew, device="cpu", wanted=wanted, weight_bytes=GIB, dtype=dtype))


def test_what_makes_a_run_slower_than_one_may_think_is_said(system, tmp_path, monkeypatch):
    monkeypatch.setattr("producer.embedded.remarks._CPU", tmp_path / "cpuinfo")
    full = Crew(16, 1)
    assert said(system, full) == said(system, full, dtype="bfloat16", flags="avx512_bf16") == []
    (imitated,) = said(system, full, dtype="bfloat16")
    assert imitated.startswith("warning: this CPU only imitates bfloat16")
    system({"meminfo": "MemAvailable: 8000000 kB\n"})
    assert said(system, Crew(2, 8)) == [
        "2 worker(s) with 8 threads each on 16 cores: 8.2 GB of memory are free, and one needs 3.1 GB; "
        "--workers N decides otherwise"
    ]
    assert said(system, Crew(2, 1), wanted=2) == []
    system({"own": "0::/pod\n", "cgroup/pod/cpu.max": "400000 100000"})
    assert said(system, Crew(4, 1)) == ["4 worker(s) on 16 cores: the quota of this container allows no more"]


def test_a_cpu_that_says_nothing_is_not_warned_of(system, tmp_path, monkeypatch):
    monkeypatch.setattr("producer.embedded.remarks._CPU", tmp_path / "nothing")
    assert list(remarks(Crew(16, 1), device="cpu", wanted=None, weight_bytes=0, dtype="bfloat16")) == []
