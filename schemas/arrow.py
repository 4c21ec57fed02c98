"""The Arrow schemas of a job's payload and of a part.

A row that cannot be embedded (a null text, say) is in a payload, too, with a `problem`, so that it is recorded where
its neighbours arrive.
"""

import pyarrow as pa

from schemas.store import Store


def vector_type(store: Store) -> pa.ListType:
    """The type of the vector column; no element is null: nullable ones read two times slower.

    A Delta table knows no unsigned numbers, so those of uint8 and ubinary are in the next wider type.
    """
    return pa.list_(pa.field("element", _ELEMENTS.get(store, pa.float32()), nullable=False))


_ELEMENTS = {"int8": pa.int8(), "binary": pa.int8(), "uint8": pa.int16(), "ubinary": pa.int16()}

_PAYLOAD = [
    pa.field("id", pa.string()),
    pa.field("chunk", pa.int32(), nullable=False),
    pa.field("text", pa.string()),
    pa.field("problem", pa.string()),
]

#: The metadata of a kept column whose type its source does not tell, since it has nothing but tombstones.
UNKNOWN = {b"vecmill.type": b"unknown"}
#: Where a chunk begins and ends in its text, in characters; only where texts are cut.
_SPAN = [pa.field("start", pa.int32(), nullable=False), pa.field("end", pa.int32(), nullable=False)]

#: The columns of a payload that are always there and ours; all others but `start` and `end` are kept source columns.
PAYLOAD_COLUMNS = tuple(field.name for field in _PAYLOAD)
#: Names that a kept source column cannot have.
RESERVED_COLUMNS = frozenset(
    {*PAYLOAD_COLUMNS, *(field.name for field in _SPAN), "n_tokens", "truncated", "text_hash", "embedding"}
)

ERRORS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("chunk", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)


def payload_schema(kept: list[pa.Field], *, chunked: bool = False) -> pa.Schema:
    """The schema of a job's payload: id, chunk, text, problem, start and end of a chunk, the kept source columns."""
    return pa.schema([*_PAYLOAD, *(_SPAN if chunked else []), *kept])


def is_chunked(schema: pa.Schema) -> bool:
    """Whether the rows of a payload or a part are chunks that know their place."""
    return _SPAN[0].name in schema.names


def part_schema(kept: list[pa.Field], *, keep_text: bool, store: Store = "float32", chunked: bool = False) -> pa.Schema:
    """The schema of a part, and so of the table."""
    text = [pa.field("text", pa.string(), nullable=False)] if keep_text else []
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("chunk", pa.int32(), nullable=False),
            *kept,
            *text,
            *(_SPAN if chunked else []),
            pa.field("n_tokens", pa.int32(), nullable=False),
            pa.field("truncated", pa.bool_(), nullable=False),
            pa.field("text_hash", pa.binary(), nullable=False),
            pa.field("embedding", vector_type(store), nullable=False),
        ]
    )


def kept_fields(payload: pa.Schema) -> list[pa.Field]:
    """The kept source columns of a payload's schema."""
    ours = {*PAYLOAD_COLUMNS, *(field.name for field in _SPAN)}
    return [field for field in payload if field.name not in ours]
