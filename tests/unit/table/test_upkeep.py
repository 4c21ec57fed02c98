"""Compacting, restoring and vacuuming: no row changes, what is kept stays readable, runs in progress can commit."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.table import commit, history, list_parts, read
from producer.table.compact import compact
from producer.table.log import live_files, open_log
from producer.table.upkeep import restore, vacuum
from producer.verify import verify
from schemas.errors import TableError
from schemas.footer import read_footer
from tests.unit.parts import encode
from tests.unit.table.test_upsert import begun, held, ran, source_of, worked

TEN = {f"d{n}": f"text {n}" for n in range(10)}


@pytest.fixture
def table(tmp_path):
    """d0 to d9 in parts of three rows, then d4 changed."""
    ran(tmp_path / "t", source_of(tmp_path, TEN), "run-1")
    ran(tmp_path / "t", source_of(tmp_path, {"d4": "five"}), "run-2")
    return tmp_path / "t"


def recorded(record):
    """As the producer leaves it before the first job."""
    path = Path(record.table, record.path)
    path.parent.mkdir(exist_ok=True)
    path.write_text(record.model_dump_json())
    return record


def files(table, version=None):
    return [os.path.relpath(file.path, table) for file in live_files(open_log(str(table), version), str(table))]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([3_000, 6_000, 9_000, 1 << 20]), min_size=1, max_size=3), st.integers(1, 4))
def test_order_and_rows_stay_whatever_is_merged(targets, runs):
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "t"
        for run in range(runs):
            corpus = {f"d{n}": f"text {n + run}" for n in range(run, 20, run + 1)}
            ran(table, source_of(Path(folder), corpus), f"run-{9 - run}")
        ids, vectors = read(str(table))
        for target in targets:
            compact(str(table), target_bytes=target)
            now_ids, now_vectors = read(str(table))
            assert now_ids == ids
            assert np.array_equal(now_vectors, vectors)


def test_merged_files_are_laid_out_as_parts_are_and_say_where_they_are_from(table):
    before = pq.read_metadata(table / "run-1" / "part-00000000.parquet")
    done = compact(str(table))
    assert (done.before, done.after, done.version) == (5, 1, 2)
    (name,) = files(table)
    after = pq.read_metadata(table / name)
    layout = [
        [
            (column.path_in_schema, column.encodings, column.compression)
            for column in map(one.row_group(0).column, range(6))
        ]
        for one in (before, after)
    ]
    assert layout[0] == layout[1]
    assert before.schema.equals(after.schema)
    assert read_footer(str(table / name)).receipt.run == "run-1"
    assert compact(str(table)) == (1, 1, 2), "nothing is left to merge, so there is no version"
    assert list(verify(str(table), sample=0, encode=encode)) == []


def test_runs_go_on_top_of_a_compaction(table, tmp_path):
    source = source_of(tmp_path, {"d4": "one", "d5": "text 5"})
    record = begun(table, source, "run-3", mode="sync")
    worked(record, source)
    compact(str(table))
    commit(record, list_parts(record.table, record.run))
    assert held(table) == {"d4": "one", "d5": "text 5"}
    assert ran(table, source_of(tmp_path, {**TEN, "d4": "one"}), "run-4", mode="upsert") == [
        id_ for id_ in TEN if id_ not in ("d4", "d5")
    ]


def test_a_run_that_commits_while_files_are_merged_loses_nothing(table, tmp_path, monkeypatch):
    from producer.table import compact as module  # the package's name for it is the module's

    merge = module._merge

    def slow(*given):
        monkeypatch.setattr(module, "_merge", merge)
        ran(table, source_of(tmp_path, {"d1": "one", "new": "two"}, "other"), "run-3")
        return merge(*given)

    monkeypatch.setattr(module, "_merge", slow)
    assert compact(str(table)).version == 3
    assert held(table) == {**TEN, "d4": "five", "d1": "one", "new": "two"}


def test_restore_gives_the_old_rows_as_a_new_version_and_refuses_runs_begun_before(table, tmp_path):
    source = source_of(tmp_path, {"d7": "one"})
    record = begun(table, source, "run-3")
    worked(record, source)
    assert restore(str(table), 0) == 2
    assert held(table) == TEN
    assert held(table, version=1) == {**TEN, "d4": "five"}
    with pytest.raises(TableError, match="RESTORE"):
        commit(record, list_parts(record.table, record.run))
    assert restore(str(table), 2) == 2, "already there"
    assert ran(table, source_of(tmp_path, {"d4": "five"}), "run-4") == ["d4"]
    with pytest.raises(TableError, match="has no version 9"):
        restore(str(table), 9)


def test_the_history_tells_who_did_what(table):
    compact(str(table))
    restore(str(table), 0)
    vacuum(str(table), keep_days=0)
    told = history(str(table))
    assert [one.operation for one in told[:4]] == ["vacuum", "vacuum", "restore", "compact"]
    assert all(one.user for one in told)
    assert [one.run for one in told] == ["run-1", "run-1", "run-1", "run-2", "run-2", "run-1"]
    assert len({one.fingerprint for one in told}) == 1


def test_vacuum_takes_only_what_no_kept_version_needs(table, tmp_path):
    source = source_of(tmp_path, {"new": "one"})
    record = recorded(begun(table, source, "later"))
    worked(record, source)
    (table / "_errors" / "run-1").mkdir(parents=True)
    (table / "_errors" / "run-1" / "part-00000000.parquet").write_bytes(b"kept")
    compact(str(table))
    every = set(table.rglob("*.parquet"))
    assert vacuum(str(table), keep_days=1).files == 0
    assert set(table.rglob("*.parquet")) == every
    done = vacuum(str(table), keep_days=0)
    assert [one.run for one in done.spared] == ["later"]
    gone = {os.path.relpath(path, table) for path in every - set(table.rglob("*.parquet"))}
    assert gone == {"run-1/part-00000001.parquet"}, "version 1 stays for the run in progress"
    assert held(table, version=1) == held(table) == {**TEN, "d4": "five"}
    commit(record, list_parts(record.table, record.run))
    assert held(table) == {**TEN, "d4": "five", "new": "one"}


def test_after_the_run_its_version_goes_and_cannot_be_restored(table, tmp_path):
    compact(str(table))
    assert vacuum(str(table), keep_days=0).files == 6
    assert held(table) == {**TEN, "d4": "five"}
    with pytest.raises(TableError, match="files are gone"):
        restore(str(table), 0)
    assert DeltaTable(table).version() == 4
    assert ran(table, source_of(tmp_path, {"d1": "one"}), "run-3") == ["d1"]
    assert held(table) == {**TEN, "d4": "five", "d1": "one"}


def test_two_who_compact_at_once_never_write_one_file(table, monkeypatch):
    from producer.table import compact as module

    merge = module._merge

    def late(*given):
        monkeypatch.setattr(module, "_merge", merge)
        module.compact(str(table), target_bytes=6_000)
        return merge(*given)

    monkeypatch.setattr(module, "_merge", late)
    before = read(str(table))[0]
    compact(str(table))
    assert read(str(table))[0] == before
    assert held(table) == held(table, version=2) == {**TEN, "d4": "five"}
