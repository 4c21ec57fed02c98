"""One version a run: nothing before it, all after it, and never twice."""

import os
import sys
import threading

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from producer.table import commit, committed_version, history, list_parts, open_table, read
from producer.table.log import RUN_KEY, entries_of, live_files, open_log
from schemas.errors import RunFailed, TableError
from schemas.job import part_path
from schemas.run import SourceOptions
from tests.unit.parts import a_payload, a_record, a_spec, encode, write_job, write_run

TEXTS = [f"text number {n}" for n in range(25)]


def committed(record, texts=TEXTS):
    write_run(record, texts)
    return commit(record, list_parts(record.table, record.run))


def test_a_reader_sees_nothing_before_the_commit_and_all_of_it_after(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    write_run(record, TEXTS)
    assert not DeltaTable.is_deltatable(record.table)
    assert open_table(record.table) is None
    assert commit(record, list_parts(record.table, record.run)) == 0
    assert DeltaTable(record.table).count() == 25


def test_every_reader_reads_the_same_vectors(tmp_path):
    record = a_record(tmp_path / "t", rows=25, source=SourceOptions(paths=("x",), keep_text=True))
    committed(record)
    table = str(tmp_path / "t")
    polars = pl.scan_delta(table).collect().sort("text")
    duck = duckdb.sql(f"SELECT id, embedding FROM read_parquet('{table}/run-1/*.parquet') ORDER BY text").fetchall()
    folder = pq.read_table(table).sort_by("text")
    delta = DeltaTable(table).to_pyarrow_table().sort_by("text")
    expected = encode(sorted(TEXTS))
    for vectors in (
        polars["embedding"].to_list(),
        [row[1] for row in duck],
        folder.column("embedding").to_pylist(),
        delta.column("embedding").to_pylist(),
    ):
        assert np.array_equal(np.array(vectors, np.float32), expected)
    assert polars["id"].to_list() == [row[0] for row in duck] == folder.column("id").to_pylist()


def test_plain_readers_find_the_rows_beside_failed_ones_and_records(tmp_path):
    record = a_record(tmp_path / "t", rows=2)
    write_job(record, 0, a_payload(["a", None], problems=[None, "null"]))
    commit(record, list_parts(record.table, record.run))
    (tmp_path / "t" / "_runs").mkdir()
    (tmp_path / "t" / record.path).write_text("{}")
    assert pq.read_table(record.table).num_rows == 1
    assert pl.read_parquet(f"{record.table}/[!_]*/*.parquet").height == 1
    assert duckdb.sql(f"SELECT count(*) FROM '{record.table}/[!_]*/*.parquet'").fetchall() == [(1,)]


def test_committing_twice_is_one_version(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    assert committed(record) == 0
    assert commit(record, list_parts(record.table, record.run)) == 0
    assert commit(record, []) == 0
    assert committed_version(record.table, "run-1") == 0
    assert committed_version(record.table, "run-2") is None
    assert DeltaTable(record.table).version() == 0
    assert len(os.listdir(tmp_path / "t" / "_delta_log")) == 1


def test_replace_is_one_version_and_the_old_one_stays_readable(tmp_path):
    committed(a_record(tmp_path / "t", rows=25))
    other = a_record(tmp_path / "t", "run-2", rows=3, mode="replace", spec=a_spec(prompt="query: "), base_version=0)
    assert committed(other, ["a", "b", "c"]) == 1
    assert commit(a_record(tmp_path / "t", rows=25), []) == 0
    ids, vectors = read(other.table)
    assert (ids, vectors.shape) == (["d0", "d1", "d2"], (3, 8))
    assert len(read(other.table, version=0)[0]) == 25
    assert open_table(other.table).fingerprint == other.spec.fingerprint


def test_replace_takes_over_other_columns(tmp_path):
    committed(a_record(tmp_path / "t", rows=25))
    source = SourceOptions(paths=("x",), keep_text=True)
    committed(a_record(tmp_path / "t", "run-2", rows=1, mode="replace", source=source), ["a"])
    assert "text" in open_table(str(tmp_path / "t")).schema.names
    assert pl.read_delta(str(tmp_path / "t"))["text"].to_list() == ["a"]


def test_two_committers_of_one_run_make_one_version(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    write_run(record, TEXTS)
    parts = list_parts(record.table, record.run)
    versions = []
    threads = [threading.Thread(target=lambda: versions.append(commit(record, parts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions == [0] * 4
    assert DeltaTable(record.table).version() == 0


def test_a_commit_that_loses_the_race_looks_again(tmp_path, monkeypatch):
    committed(a_record(tmp_path / "t", rows=25))
    one, two = (a_record(tmp_path / "t", f"run-{n}", rows=1, mode="replace") for n in (2, 3))
    for record in one, two:
        write_run(record, ["a"])
    stale = DeltaTable(one.table)
    assert commit(one, list_parts(one.table, one.run)) == 1
    opened = [stale]
    # The function hides the module of the same name, so it is looked up where modules are.
    monkeypatch.setattr(
        sys.modules["producer.table.commit"],
        "DeltaTable",
        _Opening(lambda path: opened.pop() if opened else DeltaTable(path)),
    )
    assert commit(two, list_parts(two.table, two.run)) == 2
    assert [os.path.basename(os.path.dirname(uri)) for uri in DeltaTable(two.table).file_uris()] == ["run-3"]


class _Opening:
    is_deltatable = staticmethod(DeltaTable.is_deltatable)

    def __init__(self, opening):
        self.opening = opening

    def __call__(self, path):
        return self.opening(path)


def test_another_run_that_came_first_is_told(tmp_path):
    write_run(a_record(tmp_path / "t", "run-2", rows=25), TEXTS)
    committed(a_record(tmp_path / "t", rows=25))
    late = a_record(tmp_path / "t", "run-2", rows=25)
    with pytest.raises(TableError, match="another run"):
        commit(late, list_parts(late.table, late.run))
    assert DeltaTable(late.table).version() == 0


def test_less_than_the_run_is_not_committed(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    write_run(record, TEXTS)
    for missing in range(3):
        parts = [part for part in list_parts(record.table, record.run) if part.receipt.job != missing]
        with pytest.raises(RunFailed, match="not complete"):
            commit(record, parts)
    assert not DeltaTable.is_deltatable(record.table)


def test_a_torn_part_is_missing_and_not_committed(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    write_run(record, TEXTS)
    path = tmp_path / "t" / part_path("run-1", 1)
    path.write_bytes(path.read_bytes()[:-20])
    parts = list_parts(record.table, record.run)
    assert [part.receipt.job for part in parts] == [0, 2]
    with pytest.raises(RunFailed, match="10 of its 25 rows"):
        commit(record, parts)


def test_parts_of_another_spec_are_not_committed(tmp_path):
    write_run(a_record(tmp_path / "t", rows=25), TEXTS)
    other = a_record(tmp_path / "t", rows=25, spec=a_spec(prompt="x"))
    with pytest.raises(RunFailed, match="another spec"):
        commit(other, list_parts(other.table, other.run))


def test_empty_parts_are_left_out_and_a_run_without_vectors_is_refused(tmp_path):
    record = a_record(tmp_path / "t", rows=2)
    write_job(record, 0, a_payload([None], problems=["null"]))
    write_job(record, 1, a_payload(["a"]), first=1)
    assert commit(record, list_parts(record.table, record.run)) == 0
    assert len(DeltaTable(record.table).file_uris()) == 1
    nothing = a_record(tmp_path / "u", rows=1)
    write_job(nothing, 0, a_payload([None], problems=["null"]))
    with pytest.raises(RunFailed, match="no row"):
        commit(nothing, list_parts(nothing.table, nothing.run))
    assert not DeltaTable.is_deltatable(nothing.table)


def test_the_history_tells_who_when_and_what(tmp_path):
    record = a_record(tmp_path / "t", rows=25)
    committed(record)
    second = a_record(tmp_path / "t", "run-2", rows=1, mode="replace", spec=a_spec(prompt="p"))
    committed(second, ["a"])
    DeltaTable(record.table).restore(0)
    DeltaTable(record.table).optimize.compact()
    latest, *rest = history(record.table)
    assert [(one.run, one.rows) for one in rest[-2:]] == [("run-2", 1), ("run-1", 25)]
    assert rest[-1].user
    assert rest[-1].at > 1e9
    assert (latest.run, latest.fingerprint) == ("run-1", record.spec.fingerprint)
    assert open_table(record.table).run == "run-1"


def test_the_log_tells_rows_and_the_transaction(tmp_path):
    committed(a_record(tmp_path / "t", rows=25))
    log = open_log(str(tmp_path / "t"))
    assert log.transaction_version("run-1") == 1
    assert [file.rows for file in live_files(log, str(tmp_path / "t"))] == [10, 10, 5]


def named(entries):
    """The run of each version, the latest first."""
    return [(entry["version"], entry[RUN_KEY]) for entry in entries]


def test_a_log_that_others_went_on_with_still_numbers_its_commits_rightly(tmp_path):
    folder = tmp_path / "a table"
    committed(a_record(folder, rows=25))
    old = open_log(str(folder))
    committed(a_record(folder, "run-2", rows=25, mode="replace", base_version=0))
    assert named(entries_of(old, str(folder))) == [(0, "run-1")]
    assert named(entries_of(open_log(str(folder)), str(folder))) == [(1, "run-2"), (0, "run-1")]
    assert [open_table(str(folder), version).run for version in (0, 1)] == ["run-1", "run-2"]


def test_a_commit_while_the_log_is_read_moves_no_number(tmp_path, monkeypatch):
    committed(a_record(tmp_path / "t", rows=25))
    later = a_record(tmp_path / "t", "run-2", rows=25, mode="replace", base_version=0)
    write_run(later, TEXTS)
    real = DeltaTable.history

    def history_of_a_busy_table(log):
        monkeypatch.setattr(DeltaTable, "history", real)
        commit(later, list_parts(later.table, later.run))
        return real(log)

    log = open_log(str(tmp_path / "t"))
    monkeypatch.setattr(DeltaTable, "history", history_of_a_busy_table)
    assert named(entries_of(log, later.table)) == [(0, "run-1")]
    assert committed_version(later.table, "run-2") == 1
