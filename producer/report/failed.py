"""The rows of a run that have no vector: how many by reason, and the first of them."""

import os
from collections import Counter
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import TableError
from schemas.files import names_in, opened

_SHOWN = 50


class FailedRow(NamedTuple):
    """One row, and why."""

    id: str | None
    chunk: int
    reason: str
    detail: str


class Failed(NamedTuple):
    """How many rows failed for each reason, the commonest first, and some of them."""

    reasons: tuple[tuple[str, int], ...]
    rows: tuple[FailedRow, ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(count for _, count in self.reasons)


def failed_rows(table: str, run: str) -> Failed:
    """What lies in `_errors/<run>/`."""
    folder = os.path.join(table, "_errors", run)
    reasons: Counter[str] = Counter()
    rows: list[FailedRow] = []
    for name in sorted(name for name in names_in(folder) if name.startswith("part-") and name.endswith(".parquet")):
        found = _read(os.path.join(folder, name))
        reasons.update(found.column("reason").to_pylist())
        wanted = found.slice(0, _SHOWN - len(rows)).select(list(FailedRow._fields))
        rows += [FailedRow(**row) for row in wanted.to_pylist()]
    return Failed(tuple(reasons.most_common()), tuple(rows))


def _read(path: str) -> pa.Table:
    try:
        with opened(path) as stream:
            return pq.read_table(stream)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"cannot read {path}, a list of failed rows: {error}", way_out="vecmill verify") from error
