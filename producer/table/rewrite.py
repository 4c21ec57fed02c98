"""Taking rows out of a version whose files hold other rows, too. Knows files and keys, no source.

The files that lose rows are written again without them, beside the run's parts, under a name that follows from the
version, the file's place in it and the rows that go: whoever repeats a commit finds the same file, and no file is
ever changed.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.bits import Bits
from producer.join import Keys, join
from producer.table.copying import batches_of, write_rows
from producer.table.keys import count_rows, keys_of, rows_in
from producer.table.log import LiveFile
from schemas.errors import TableError
from schemas.files import names_in, size_of, written

_DOOMED = """
    SELECT version.at AS at FROM version
    SEMI JOIN outgoing ON version.id = outgoing.id AND version.chunk = outgoing.chunk
"""


class Rewritten(NamedTuple):
    """What happens to the files of a version: those that go, and what comes in their place (paths in the table)."""

    gone: list[LiveFile]
    kept: list[LiveFile]


def without(files: Sequence[LiveFile], outgoing: Keys, *, table: str, run: str, version: int) -> Rewritten:
    """Take the rows with these keys out of the files of a version."""
    sizes = [count_rows(file) for file in files]
    doomed = _doomed(files, outgoing, sum(sizes))
    gone, kept = [], []
    first = 0
    for number, (file, size) in enumerate(zip(files, sizes, strict=True)):
        rows = doomed.among(first, size)
        first += size
        if len(rows) == 0:
            continue
        gone.append(file)
        if len(rows) < size:
            which = hashlib.blake2b(rows.tobytes(), digest_size=4).hexdigest()
            kept.append(_rewrite(file, rows, table, f"{run}/kept-{version:08d}-{number:08d}-{which}.parquet"))
    return Rewritten(gone, kept)


def _doomed(files: Sequence[LiveFile], outgoing: Keys, rows: int) -> Bits:
    def collect(answer: Iterator[pa.RecordBatch]) -> Bits:
        found = Bits(rows)
        for batch in answer:
            found.add(batch.column("at").to_numpy(zero_copy_only=False))
        return found

    return join(_DOOMED, {"version": lambda: keys_of(files), "outgoing": outgoing}, collect)


def _rewrite(file: LiveFile, leaving: npt.NDArray[np.int64], table: str, name: str) -> LiveFile:
    """The file without some of its rows; its footer still says how the others were made."""
    path = os.path.join(table, name)
    if os.path.basename(path) not in names_in(os.path.dirname(path)):
        try:
            with written(path) as stream:
                write_rows(stream, _without(file.path, leaving), like=file.path)
        except (pa.ArrowException, FileNotFoundError) as error:
            raise TableError(f"cannot write {path} from {file.path}: {error}", way_out="vecmill verify") from error
    return LiveFile(name, rows_in(path), size_of(path))


def _without(source: str, leaving: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    first = 0
    for batch in batches_of(source):
        mine = leaving[(leaving >= first) & (leaving < first + batch.num_rows)] - first
        staying = np.setdiff1d(np.arange(batch.num_rows), mine, assume_unique=True)
        yield batch.take(pa.array(staying))
        first += batch.num_rows
