"""Tables of every store: what readers see, what reading gives, and that other runs keep to the table's ranges."""

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from producer.prepared import _ranges
from producer.query import search
from producer.table import check_table, open_table, read
from producer.verify import verify
from schemas.arrow import part_schema
from schemas.errors import TableError, UsageError
from schemas.run import SourceOptions
from schemas.store import CALIBRATED, PACKED, Ranges, codes, values
from tests.unit.parts import DIMS, a_payload, a_record, a_spec, encode, write_job
from tests.unit.table.test_commit import TEXTS, committed
from tests.unit.test_verify import damage

RANGES = Ranges.of(encode(TEXTS[:20]))
QUANTIZED = [*CALIBRATED, *PACKED]
SOURCE = SourceOptions(paths=("gone",), keep_text=True)


def a_quantized(folder, store, **changes):
    ranges = RANGES if store in CALIBRATED else None
    return a_record(folder / "t", store=store, **{"rows": 25, "ranges": ranges, "source": SOURCE, **changes})


@pytest.fixture(params=QUANTIZED)
def record(request, tmp_path):
    record = a_quantized(tmp_path, request.param)
    committed(record)
    return record


def stored(store):
    return codes(encode(TEXTS), store, RANGES)


def test_reading_gives_values_or_codes(record):
    ids, block = read(record.table, codes=True)
    assert ids == [f"d{n}" for n in range(25)]
    assert block.dtype == stored(record.store).dtype
    assert np.array_equal(block, stored(record.store))
    _, block = read(record.table)
    if record.store in PACKED:
        assert np.array_equal(block, stored(record.store))
    else:
        assert block.dtype == np.float32
        assert np.array_equal(block, values(stored(record.store), record.store, RANGES))


def test_every_reader_sees_the_codes(record):
    expected = stored(record.store)[np.argsort(TEXTS)]
    polars = pl.scan_delta(record.table).collect().sort("text")["embedding"].to_list()
    duck = duckdb.sql(f"SELECT embedding FROM '{record.table}/run-1/*.parquet' ORDER BY text").fetchall()
    delta = DeltaTable(record.table).to_pyarrow_table().sort_by("text").column("embedding").to_pylist()
    folder = pq.read_table(record.table).sort_by("text").column("embedding").to_pylist()
    for found in (polars, [row[0] for row in duck], delta, folder):
        assert np.array_equal(np.array(found), expected)


def test_an_older_version_is_read_as_it_was_stored(record):
    before = read(record.table)
    committed(a_record(record.table, "run-2", rows=25, mode="replace", base_version=0, source=SOURCE))
    assert read(record.table)[1].dtype == np.float32
    ids, block = read(record.table, version=0)
    assert ids == before[0]
    assert np.array_equal(block, before[1])


def test_a_code_takes_a_byte(tmp_path):
    record = a_quantized(tmp_path, "uint8", spec=a_spec(dims=512), ranges=Ranges.of(np.eye(2, 512, dtype=np.float32)))
    block = np.random.default_rng(0).random((500, 512), np.float32)
    path = write_job(record, 0, a_payload([f"t{n}" for n in range(500)]), vectors=block)
    group = pq.read_metadata(path).row_group(0)
    column = next(c for n in range(group.num_columns) if (c := group.column(n)).path_in_schema.startswith("embedding"))
    assert column.total_compressed_size < 1.05 * block.size
    assert column.has_dictionary_page
    assert not column.is_stats_set


def test_ranges_are_known_of_the_table_of_each_part_and_without_a_history(record, monkeypatch):
    wanted = (record.store, record.ranges)
    state = open_table(record.table)
    assert (state.store, state.ranges) == wanted
    monkeypatch.setattr("producer.table.state.commit_of", lambda history, version: None)
    state = open_table(record.table)
    assert (state.store, state.ranges) == wanted
    DeltaTable(record.table).optimize.compact()
    monkeypatch.undo()
    assert (open_table(record.table).store, open_table(record.table).ranges) == wanted


def test_a_later_run_takes_the_ranges_of_the_table(tmp_path):
    committed(a_quantized(tmp_path, "int8"))
    state = open_table(str(tmp_path / "t"))
    assert _ranges(state, a_spec(), "int8") == RANGES
    assert _ranges(state, a_spec(), "uint8") == RANGES
    assert _ranges(state, a_spec(), "float32") is None
    assert _ranges(state, a_spec(prompt="other: "), "int8") is None
    assert _ranges(None, a_spec(), "int8") is None


@pytest.mark.parametrize("asked", ["float32", "bfloat16", "uint8", "binary"])
def test_another_store_is_refused_with_the_way_out(tmp_path, asked):
    committed(a_quantized(tmp_path, "int8"))
    schema = part_schema([], keep_text=True, store=asked)
    with pytest.raises(TableError, match=rf"(?s)as int8, the run asks for {asked}.*--mode replace"):
        check_table(str(tmp_path / "t"), spec=a_spec(), schema=schema, mode="upsert", store=asked)
    assert check_table(str(tmp_path / "t"), spec=a_spec(), schema=schema, mode="replace", store=asked).store == "int8"


def test_vectors_beyond_the_ranges_are_clipped_and_bad_ones_fail(tmp_path):
    record = a_quantized(tmp_path, "int8", rows=3)
    block = np.stack([np.full(DIMS, 9.0), np.full(DIMS, -9.0), np.full(DIMS, np.nan)]).astype(np.float32)
    column = pq.read_table(write_job(record, 0, a_payload(["a", "b", "c"]), vectors=block), partitioning=None)
    assert column.column("embedding").to_pylist() == [[127] * DIMS, [-128] * DIMS]


def test_a_store_that_needs_ranges_does_not_guess_them(tmp_path):
    record = a_quantized(tmp_path, "int8", ranges=None)
    assert record.lacks_ranges
    with pytest.raises(ValueError, match="ranges"):
        write_job(record, 0, a_payload(["a"]))


def test_a_search_finds_by_what_is_stored(record):
    wanted = encode([TEXTS[7]])[0]
    hits = search(record.table, wanted * 3, k=25)
    assert (hits[0].id, hits[0].columns["text"]) == ("d7", TEXTS[7])
    found = {hit.id: hit.score for hit in hits}
    if record.store in PACKED:
        differing = ((encode(TEXTS) > 0) != (wanted > 0)).sum(axis=1)
        expected = 1 - 2 * differing / DIMS
    else:
        decoded = values(stored(record.store), record.store, RANGES)
        expected = decoded @ wanted / np.linalg.norm(decoded, axis=1)
    assert np.allclose([found[f"d{n}"] for n in range(25)], expected, atol=1e-6)
    with pytest.raises(UsageError, match="9 numbers"):
        search(record.table, np.ones(9, np.float32))


def test_a_sound_table_has_no_findings_and_another_model_has(record):
    def found(encode):
        return [one for one in verify(record.table, sample=25, encode=encode) if one.check == "sample"]

    assert list(verify(record.table, sample=25, encode=encode)) == []
    assert found(lambda texts: encode(texts) + np.float32(1e-6)) == []
    assert len(found(lambda texts: -encode(texts))) == 25
    assert len(found(lambda texts: encode(texts)[::-1])) >= 20


def test_damaged_codes_are_found(record):
    wide = len(stored(record.store)[0])
    damage(record, 1, embedding=[[300] * wide, [0] * (wide + 1), *stored(record.store)[12:20].tolist()])
    details = [one.detail for one in verify(record.table, sample=0, encode=None)]
    low, high = (0, 255) if record.store.startswith("u") else (-128, 127)
    assert details == [f"1 vectors are not {wide} wide", f"1 vectors have codes beyond {low} to {high}"]
