"""Whether a chunk is in a version more than once; counted by DuckDB, out of core. Knows ids, no vectors."""

import tempfile

import duckdb

from producer.table.log import LiveFile
from producer.verify.finding import Finding

_SHOWN = 5
_DUPLICATES = f"""
    SELECT id, chunk, count(*) AS times FROM read_parquet($files, hive_partitioning = false)
    GROUP BY id, chunk HAVING times > 1 ORDER BY times DESC, id, chunk LIMIT {_SHOWN}
"""


def check_duplicates(files: list[LiveFile]) -> list[Finding]:
    """Five of the chunks that come more than once."""
    if not files:
        return []
    with tempfile.TemporaryDirectory(prefix="vecmill-verify-") as folder:
        settings = {"memory_limit": "128MB", "temp_directory": folder, "preserve_insertion_order": "false"}
        with duckdb.connect(config=settings) as connection:
            try:
                rows = connection.execute(_DUPLICATES, {"files": [file.path for file in files]}).fetchall()
            except duckdb.Error as error:
                return [Finding(check="file", where="ids of the table", detail=f"cannot be read: {error}")]
    return [
        Finding(check="duplicates", where=id_, detail=f"chunk {chunk} is there {times} times")
        for id_, chunk, times in rows
    ]
