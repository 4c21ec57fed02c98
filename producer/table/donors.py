"""Rows that have the vector of a text: found by the hashes of texts, out of core, and read for those that need it."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.join import KEYS, join
from producer.table.copying import batches_of, coarseness
from producer.table.keys import count_rows, keys_of
from producer.table.log import LiveFile
from schemas.errors import TableError

_DONORS = """
    WITH lacking AS MATERIALIZED (SELECT twins.at AS twin, twins.hash AS hash FROM twins),
    shared AS (
        SELECT donors.hash AS hash, min(donors.at) AS donor
        FROM donors SEMI JOIN lacking ON donors.hash = lacking.hash GROUP BY donors.hash
    )
    SELECT lacking.twin AS twin, shared.donor AS donor FROM lacking JOIN shared ON lacking.hash = shared.hash
"""
#: What a text alone decides.
COPIED = ("n_tokens", "truncated", "embedding")
BATCH_ROWS = 4_096


def find_donors(aside: pa.Table, donors: Sequence[LiveFile]) -> npt.NDArray[np.int64]:
    """For each twin the number of a row of the donors that has its text; -1 where none has."""

    def keys() -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in aside.to_batches():
            at = pa.array(np.arange(first, first + batch.num_rows))
            columns = [at, batch.column("id"), batch.column("chunk"), batch.column("text_hash")]
            yield pa.RecordBatch.from_arrays(columns, schema=KEYS)
            first += batch.num_rows

    def collect(answer: Iterator[pa.RecordBatch]) -> npt.NDArray[np.int64]:
        found = np.full(len(aside), -1, np.int64)
        for batch in answer:
            found[batch.column("twin").to_numpy()] = batch.column("donor").to_numpy()
        return found

    streams = {"twins": keys, "donors": lambda: keys_of(donors, place=False)}
    return join(_DONORS, streams, collect, by="hash", rows=len(aside))


def copies(
    aside: pa.Table, twins: npt.NDArray[np.int64], donor_of: npt.NDArray[np.int64], donors: Sequence[LiveFile]
) -> Iterator[pa.RecordBatch]:
    """The twins with copied vectors, in the order of their donors; files without a donor are not read."""
    first = 0
    for file in donors:
        size = count_rows(file)
        if len(_between(donor_of, first, first + size)):
            at = first
            for batch in batches_of(file.path):
                for some in _between(donor_of, at, at + batch.num_rows):
                    yield _copy(aside.take(pa.array(twins[some])), batch.take(pa.array(donor_of[some] - at)), file)
                at += batch.num_rows
        first += size


def _between(donor_of: npt.NDArray[np.int64], first: int, end: int) -> list[slice]:
    """Where the donors from one number to another are, in pieces that fit into the memory."""
    begin, behind = np.searchsorted(donor_of, [first, end]).tolist()
    return [slice(at, min(at + BATCH_ROWS, behind)) for at in range(begin, behind, BATCH_ROWS)]


def _copy(own: pa.Table, donors: pa.RecordBatch, file: LiveFile) -> pa.RecordBatch:
    if not own.column("text_hash").combine_chunks().equals(donors.column("text_hash")):
        raise TableError(f"{file.path} has changed while it was read: its texts are others", way_out="vecmill verify")
    columns = {name: donors.column(name) for name in COPIED}
    columns |= {name: own.column(name).combine_chunks() for name in own.column_names}
    schema = donors.schema.remove_metadata()
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], names=schema.names)


def coarsest(donor_of: npt.NDArray[np.int64], donors: Sequence[LiveFile]) -> str:
    """The donor whose footer shall speak for all: `verify` compares with what is said there."""
    ends = np.cumsum([count_rows(file) for file in donors])
    used = np.unique(np.searchsorted(ends, donor_of, side="right"))
    path: str = max((donors[number] for number in used), key=coarseness).path
    return path
