"""Comparing keys gives the same answer in one go and in shares, and an error of a stream comes through."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer import join as joining
from producer.bits import Bits
from producer.compare import compare
from producer.join import KEYS
from schemas.errors import SourceError

SIDE = st.lists(
    st.tuples(st.sampled_from([None, *"abcdefgh"]), st.integers(0, 2), st.sampled_from([None, b"x", b"y"])),
    max_size=20,
    unique_by=lambda key: key[:2],
)


def stream(rows):
    """The keys, some at a time."""

    def batches():
        for first in range(0, len(rows), 5):
            some = rows[first : first + 5]
            columns = [range(first, first + len(some)), *zip(*some, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(column, field.type) for column, field in zip(columns, KEYS, strict=True)], schema=KEYS
            )

    return batches


def compared(source, version):
    found = compare(stream(source), stream(version), source_rows=len(source), version_rows=len(version))
    return found.embed.dump(), found.absent.dump(), found.new, found.changed


@pytest.fixture
def in_shares(monkeypatch):
    def choose(how):
        if how == "known to be many":
            monkeypatch.setattr(joining, "_MOST_AT_ONCE", -1)
        elif how == "found to be many":
            monkeypatch.setattr(joining, "_at_once", raises_out_of_memory)
        monkeypatch.setattr(joining, "_SHARE_ROWS", 3)

    return choose


def raises_out_of_memory(*_):
    raise duckdb.OutOfMemoryException("64MB are not enough")


@settings(max_examples=12, deadline=None)
@given(source=SIDE, version=SIDE)
def test_shares_change_no_answer(source, version):
    whole = compared(source, version)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "_MOST_AT_ONCE", -1)
        patch.setattr(joining, "_SHARE_ROWS", 3)
        assert compared(source, version) == whole


@pytest.mark.parametrize("how", ["at once", "known to be many", "found to be many"])
def test_each_way_finds_what_differs_and_tells_an_error(in_shares, how):
    in_shares(how)
    rows = [(f"id-{number}", 0, b"x") for number in range(50)]
    assert compared(rows, rows)[2:] == (0, 0)
    embed, absent, new, changed = compared([("new", 0, b"x"), ("id-3", 0, b"y"), *rows[10:]], rows)
    assert (new, changed) == (1, 1)
    assert Bits.read(embed, 42).among(0, 42).tolist() == [0, 1]
    assert Bits.read(absent, 50).among(0, 50).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]

    def broken():
        yield from stream(rows)()
        raise SourceError("line 51 is broken")

    with pytest.raises(SourceError, match="line 51"):
        compare(broken, stream(rows), source_rows=50, version_rows=50)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_all_are_as_many_as_there_are(size):
    assert np.array_equal(Bits.all(size).among(0, size), np.arange(size))
    assert Bits.all(size).count() == size
    some = Bits(size)
    some.add(np.arange(0, size, 3))
    assert Bits.all(size).without(some).plus(some).dump() == Bits.all(size).dump()
