"""How the rows of a job travel: one Arrow IPC stream, zstd. Written by a producer, but anybody may have put it there.

So it is read with suspicion: what it would take is looked at before anything is unpacked, then its columns, then every
value. Whatever is wrong is a `PayloadError`, which says nothing of the content.
"""

from collections.abc import Callable

import pyarrow as pa
from pyarrow import types

from schemas.arrow import is_chunked, kept_fields, payload_schema
from schemas.errors import PayloadError, UsageError
from schemas.ipc_size import unpacked_bytes
from schemas.receipt import SourceRange

#: The most that the rows of a job may be, packed and unpacked. A usual job is cut at 2 MiB of texts.
MOST_PAYLOAD_BYTES = 256 << 20
_SOURCE_KEY = b"vecmill.source"

#: What a table can hold, as plain columns. Others may stand for more rows or bytes than they have.
_PLAIN: tuple[Callable[[pa.DataType], bool], ...] = (
    types.is_signed_integer, types.is_float32, types.is_float64, types.is_boolean, types.is_string, types.is_binary,
    types.is_date32, types.is_decimal128, types.is_timestamp,
)  # fmt: skip


#: The rows of one job, and where they came from.
Payload = tuple[pa.Table, SourceRange]


def encode_payload(rows: pa.Table, source: SourceRange) -> bytes:
    """One job's rows, and where they came from; raises `UsageError` where they are more than a job may be."""
    schema = rows.schema.with_metadata({_SOURCE_KEY: source.model_dump_json()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(rows.cast(schema))
    payload = bytes(sink.getvalue())
    most = max(rows.nbytes, len(payload))
    if most > MOST_PAYLOAD_BYTES:
        raise UsageError(
            f"{len(rows)} row(s) behind row {source.start[1]} of file {source.start[0] + 1} of the source are "
            f"{most >> 20} MiB; a job may have {MOST_PAYLOAD_BYTES >> 20}",
            way_out="keep fewer columns, or take that text out of the source",
        )
    return payload


def decode_payload(data: bytes, *, most_rows: int, most_bytes: int = MOST_PAYLOAD_BYTES) -> Payload:
    """The rows of one job and where they came from; raises `PayloadError` where the bytes are no payload."""
    if len(data) > most_bytes:
        raise _too_large(len(data), most_bytes)
    try:
        buffer = pa.py_buffer(data)
        if (size := unpacked_bytes(buffer)) > most_bytes:
            raise _too_large(size, most_bytes)
        with pa.ipc.open_stream(buffer) as reader:
            source = _checked_schema(reader.schema)
            rows = reader.read_all()
        if len(rows) > most_rows:
            raise PayloadError(f"the rows of a job are {len(rows)}, where its run has {most_rows} at most")
        rows.validate(full=True)
        return rows.replace_schema_metadata(None).combine_chunks(), source
    except (ValueError, ArithmeticError, pa.ArrowException, OSError) as cause:
        raise PayloadError(f"what Redis holds as the rows of a job is none ({type(cause).__name__})") from None


def _checked_schema(schema: pa.Schema) -> SourceRange:
    source = (schema.metadata or {}).get(_SOURCE_KEY)
    kept = kept_fields(schema)
    if not schema.remove_metadata().equals(payload_schema(kept, chunked=is_chunked(schema))):
        raise PayloadError("what Redis holds as the rows of a job has other columns")
    if len(set(schema.names)) != len(schema.names) or not all(_is_plain(field.type) for field in kept):
        raise PayloadError("the rows of a job have columns that no table can hold")
    if source is None:
        raise PayloadError("the rows of a job do not say where they came from")
    return SourceRange.model_validate_json(source)


def _is_plain(type_: pa.DataType) -> bool:
    if types.is_list(type_) or types.is_struct(type_) or types.is_map(type_):
        inner = [type_.field(at).type for at in range(type_.num_fields)]
        return bool(inner) and all(map(_is_plain, inner))
    return any(is_plain(type_) for is_plain in _PLAIN)


def _too_large(size: int, most: int) -> PayloadError:
    return PayloadError(
        f"the rows of a job are {size} bytes, more than the {most} that a worker takes",
        way_out="somebody else may write to your Redis: see docs/operations.md",
    )
