import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from producer.source import START, Cursor, Source, open_source
from schemas.run import SourceOptions


def all_rows(path: Path | str, *, start: Cursor = START, **options: Any) -> list[dict[str, Any]]:
    """All rows of a source as dictionaries."""
    return [row for batch in opened(path, **options).batches(start) for row in batch.rows.to_pylist()]


def opened(*paths: Path | str, **options: Any) -> Source:
    return open_source(SourceOptions(paths=tuple(map(str, paths)), **options))


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path
