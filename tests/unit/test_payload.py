"""Whatever lies in Redis as a job's rows is those rows or a `PayloadError`, and takes no more room than it may."""

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import payload as module
from schemas.errors import PayloadError, UsageError
from schemas.ipc_size import unpacked_bytes
from schemas.payload import decode_payload, encode_payload
from schemas.receipt import SourceRange
from tests.unit.parts import a_payload

pytestmark = pytest.mark.fuzz

SOURCE = SourceRange(start=(0, 0, 0), end=(0, 3, 3))
MIB = 1 << 20
#: Knows the most that was taken of it; what came from it must not outlive it.
POOL = pa.proxy_memory_pool(pa.default_memory_pool())
KEPT = {"lang": pa.array(["de", None, "en"]), "tags": pa.array([["a"], [], None]), "at": pa.array([1, 2, None])}


def a_stream(table: pa.Table, *, compression: str | None = "zstd") -> bytes:
    schema = table.schema.with_metadata({module._SOURCE_KEY: SOURCE.model_dump_json()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table.cast(schema))
    return bytes(sink.getvalue())


def decoded(data: bytes, **limits: int) -> pa.Table | None:
    """The rows, whole and sound, or None for what is refused; any other end fails the test."""
    try:
        rows, _ = decode_payload(data, **{"most_rows": 100, **limits})
    except PayloadError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert "secret" not in refusal
    if refusal:
        return None
    rows.validate(full=True)
    return rows


texts = st.lists(st.none() | st.text(max_size=300), min_size=1, max_size=40)


@given(texts=texts, kept=st.booleans())
def test_what_is_sent_arrives_and_its_size_is_known_beforehand(texts: list[str | None], kept: bool) -> None:
    rows = a_payload(texts, kept={"n": pa.array(range(len(texts)))} if kept else None)
    data = encode_payload(rows, SOURCE)
    assert decode_payload(data, most_rows=len(texts)) == (rows, SOURCE)
    read = pa.ipc.open_stream(a_stream(rows, compression=None)).read_all()
    buffers = sum(buffer.size for column in read.columns for buffer in column.chunk(0).buffers() if buffer is not None)
    # Padded to eight bytes each.
    assert buffers <= unpacked_bytes(pa.py_buffer(data)) + 8 * 12
    assert unpacked_bytes(pa.py_buffer(data)) <= buffers + 64 * 12


def test_a_bomb_is_refused_before_anything_is_unpacked() -> None:
    bomb = encode_payload(a_payload(["0" * (64 * MIB)]), SOURCE)
    assert len(bomb) < MIB
    before = pa.default_memory_pool()
    pa.set_memory_pool(POOL)
    try:
        assert decoded(bomb, most_bytes=MIB) is None
        assert POOL.max_memory() < MIB
        assert decoded(bomb) is not None
        assert POOL.max_memory() >= 64 * MIB
    finally:
        pa.set_memory_pool(before)


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1, -2, -(1 << 63)])
def test_a_size_that_is_a_lie_is_refused(size: int) -> None:
    data = encode_payload(a_payload(["a text " * 1000]), SOURCE)
    told = struct.pack("<q", 7 * 1000)
    assert data.count(told) >= 1
    assert decoded(data.replace(told, struct.pack("<q", size))) is None


def test_a_size_that_is_too_small_is_refused() -> None:
    data = encode_payload(a_payload(["a text " * 1000]), SOURCE)
    assert decoded(data.replace(struct.pack("<q", 7000), struct.pack("<q", 70))) is None


def test_more_rows_than_a_job_of_its_run_has_are_refused() -> None:
    data = encode_payload(a_payload(["x"] * 101), SOURCE)
    assert decoded(data) is None
    assert decoded(data, most_rows=101) is not None


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(3), pa.array(["a", "b", "a"]).dictionary_encode(), pa.array(["a", "b", "c"], pa.string_view()),
        pa.array([{}, {}, {}], pa.struct([])), pa.array([["a"], [], None], pa.list_view(pa.string())),
        pa.RunEndEncodedArray.from_arrays([3], ["secret"]),
    ],
    ids=lambda column: str(column.type).split("<")[0],
)  # fmt: skip
def test_columns_that_stand_for_more_than_they_hold_are_refused(column: pa.Array) -> None:
    rows = a_payload(["a", "b", "c"])
    assert decoded(a_stream(rows)) == rows
    assert decoded(a_stream(rows.append_column("kept", column))) is None


def test_texts_that_are_none_are_refused() -> None:
    whole = a_stream(a_payload(["secret one", "secret two"]), compression=None)
    assert decoded(whole) is not None
    assert decoded(whole.replace(b"secret one", b"\xff\xfesecret2")) is None
    rows = a_payload(["a", "b", "c"])
    beyond = pa.StringArray.from_buffers(3, pa.py_buffer(struct.pack("<4i", 0, 1, 9_000_000, 2)), pa.py_buffer(b"ab"))
    assert decoded(a_stream(rows.set_column(2, "text", beyond), compression=None)) is None


def test_other_columns_are_refused() -> None:
    rows = a_payload(["a", "b", "c"], kept=KEPT)
    assert decoded(a_stream(rows)) == rows
    for number, name in enumerate(rows.column_names[:4]):
        assert decoded(a_stream(rows.drop_columns([name]))) is None
        assert decoded(a_stream(rows.set_column(number, name, pa.array([1.0, 2.0, 3.0])))) is None
    assert decoded(a_stream(rows.append_column("lang", KEPT["lang"]))) is None


def test_rows_that_are_more_than_a_job_may_be_are_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PAYLOAD_BYTES", MIB)
    encode_payload(a_payload(["0" * (MIB // 2)]), SOURCE)
    with pytest.raises(UsageError, match="file 1 of the source are 1 MiB"):
        encode_payload(a_payload(["0" * (MIB + 1000)]), SOURCE)


@given(st.binary(max_size=400))
def test_garbage_is_refused(data: bytes) -> None:
    assert decoded(data) is None


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
def test_wrong_bytes_give_sound_rows_or_none(changes: list[tuple[int, int]], packed: bool) -> None:
    rows = a_payload(["secret one", None, "secret " * 30], kept=KEPT)
    data = bytearray(a_stream(rows, compression="zstd" if packed else None))
    for at, byte in changes:
        data[at % len(data)] = byte
    decoded(bytes(data), most_bytes=MIB)


@given(st.data())
def test_torn_and_joined_streams_are_refused_or_sound(data: st.DataObject) -> None:
    whole = a_stream(a_payload(["a", "b", "c"], kept=KEPT))
    cut = data.draw(st.integers(0, len(whole)))
    decoded(whole[:cut] + whole[data.draw(st.integers(0, len(whole))) :], most_bytes=MIB)
