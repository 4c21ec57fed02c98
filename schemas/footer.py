"""Reading the footer of a part: what both sides know of a part without reading its rows."""

import json
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from schemas.files import opened
from schemas.receipt import RECEIPT_KEY, VERSIONS_KEY, Receipt


class Footer(NamedTuple):
    """What a part says of itself."""

    receipt: Receipt
    rows: int
    size_bytes: int
    schema: pa.Schema


def read_footer(path: str) -> Footer | None:
    """The footer of a complete part; None where there is no file, a torn one, or one that is no part of ours."""
    try:
        with opened(path) as stream:
            return _parse(stream, stream.size())
    except FileNotFoundError:
        return None


def _parse(stream: pa.NativeFile, size_bytes: int) -> Footer | None:
    try:
        metadata = pq.read_metadata(stream)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None
    receipt = (metadata.metadata or {}).get(RECEIPT_KEY)
    if receipt is None:
        return None
    try:
        parsed = Receipt.model_validate_json(receipt)
    except ValidationError:
        return None
    return Footer(parsed, metadata.num_rows, size_bytes, schema.remove_metadata())


def read_versions(path: str) -> dict[str, str]:
    """The libraries that made a part, with their versions; nothing where the file does not say."""
    try:
        with opened(path) as stream:
            said = (pq.read_metadata(stream).metadata or {}).get(VERSIONS_KEY, b"{}")
        versions = json.loads(said)
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return {str(name): str(version) for name, version in versions.items()} if isinstance(versions, dict) else {}
