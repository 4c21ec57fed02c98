import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from producer.table import commit, list_parts, read, sweep
from schemas.errors import TableError
from schemas.job import part_path
from tests.unit.parts import a_payload, a_record, a_spec, encode, write_job, write_run
from tests.unit.table.test_commit import TEXTS, committed

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("count", [1, 10, 25])
def test_ids_and_vectors_come_in_the_order_of_the_source(tmp_path, count):
    record = a_record(tmp_path / "t", rows=count)
    committed(record, TEXTS[:count])
    ids, vectors = read(record.table)
    assert ids == [f"d{n}" for n in range(count)]
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, encode(TEXTS[:count]))


@pytest.mark.parametrize("per_job", [16_000, 4_000])
def test_each_vector_is_copied_once(tmp_path, per_job):
    """In a process of its own: how much memory numpy (traced) and Arrow took at most, for a block of 31 MiB."""
    record = a_record(tmp_path / "t", rows=16_000, spec=a_spec(dims=512))
    block = np.random.default_rng(0).standard_normal((16_000, 512), dtype=np.float32)
    for job, first in enumerate(range(0, 16_000, per_job)):
        ids = [str(first + n) for n in range(per_job)]
        vectors = block[first : first + per_job]
        write_job(record, job, a_payload(["x"] * per_job, ids=ids), first=first, vectors=vectors)
    commit(record, list_parts(record.table, record.run))
    np.save(tmp_path / "block.npy", block)
    script = (
        "import tracemalloc, numpy, pyarrow\n"
        "from producer.api import read\n"
        "expected = numpy.load('block.npy', mmap_mode='r')\n"
        "tracemalloc.start()\n"
        "ids, vectors = read('t')\n"
        "print(tracemalloc.get_traced_memory()[1], pyarrow.default_memory_pool().max_memory(), vectors.nbytes)\n"
        "assert ids == [str(n) for n in range(16_000)] and (vectors == expected).all()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    traced, arrow, size = map(int, done.stdout.split())
    assert size == block.nbytes
    assert size <= traced < 1.4 * size, "one block, and the ids"
    assert arrow < 0.8 * size, "some thousand rows"


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(TableError, match="no table"):
        read(str(tmp_path))
    committed(a_record(tmp_path / "t", rows=25))
    with pytest.raises(TableError, match="no version 3"):
        read(str(tmp_path / "t"), version=3)
    (tmp_path / "t" / part_path("run-1", 1)).unlink()
    with pytest.raises(TableError, match="part-00000001"):
        read(str(tmp_path / "t"))


def test_only_complete_parts_of_the_run_are_parts(tmp_path):
    record = a_record(tmp_path, rows=25)
    write_run(record, TEXTS)
    folder = tmp_path / "run-1"
    (folder / ".part-00000003.parquet.abc.tmp").write_bytes(b"half")
    (folder / "part-00000004.parquet").write_bytes(b"PAR1torn")
    (folder / "part-00000005.parquet").write_bytes((folder / "part-00000000.parquet").read_bytes())
    (folder / "notes.txt").touch()
    parts = list_parts(str(tmp_path), "run-1")
    assert [(part.receipt.job, part.rows) for part in parts] == [(0, 10), (1, 10), (2, 5)]
    assert [part.size_bytes for part in parts] == [os.path.getsize(tmp_path / part.path) for part in parts]
    assert list_parts(str(tmp_path), "run-2") == []


def test_sweeping_takes_only_what_broken_writes_left(tmp_path):
    write_run(a_record(tmp_path, rows=25), TEXTS)
    (tmp_path / "_errors" / "run-1").mkdir(parents=True)
    for folder in "run-1", "_errors/run-1":
        (tmp_path / folder / ".part-00000003.parquet.abc.tmp").write_bytes(b"half")
        (tmp_path / folder / "mine.tmp").touch()
    assert sweep(str(tmp_path), "run-1") == 2
    assert sorted(os.listdir(tmp_path / "_errors" / "run-1")) == ["mine.tmp"]
    assert len(list_parts(str(tmp_path), "run-1")) == 3


def test_a_process_that_dies_while_writing_leaves_no_part(tmp_path):
    script = (
        "import os, sys\n"
        "from schemas.files import written\n"
        f"with written({str(tmp_path / 'run-1' / 'part-00000000.parquet')!r}, once=True) as stream:\n"
        "    stream.write(b'PAR1' + b'x' * 100_000)\n"
        "    stream.flush()\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 9
    assert [name.endswith(".tmp") for name in os.listdir(tmp_path / "run-1")] == [True]
    assert list_parts(str(tmp_path), "run-1") == []
    assert sweep(str(tmp_path), "run-1") == 1
    write_run(a_record(tmp_path, rows=25), TEXTS)
    assert len(list_parts(str(tmp_path), "run-1")) == 3
