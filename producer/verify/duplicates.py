"""Whether a chunk is in a version more than once; counted by DuckDB, out of core. Knows ids, no vectors."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from producer.join import join
from producer.table.keys import keys_of
from producer.table.log import LiveFile
from producer.verify.finding import Finding
from schemas.errors import TableError

_SHOWN = 5
_DUPLICATES = f"""
    SELECT id, chunk, count(*) AS times FROM version
    GROUP BY id, chunk HAVING times > 1 ORDER BY times DESC, id, chunk LIMIT {_SHOWN}
"""  # noqa: S608 - the number above


def check_duplicates(files: list[LiveFile]) -> list[Finding]:
    """Five of the chunks that come more than once."""
    try:
        rows = join(_DUPLICATES, {"version": lambda: keys_of(files)}, _rows)
    except TableError as error:
        return [Finding(check="file", where="ids of the table", detail=f"cannot be read: {error.args[0]}")]
    return [
        Finding(check="duplicates", where=row["id"], detail=f"chunk {row['chunk']} is there {row['times']} times")
        for row in rows
    ]


def _rows(answer: Iterator[pa.RecordBatch]) -> list[dict[str, Any]]:
    return [row for batch in answer for row in batch.to_pylist()][:_SHOWN]
