"""Runs on top of a version: what every reader then sees, whatever files the rows lie in, and whoever came between."""

import json
import os
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from producer.carry_out import result
from producer.jobs import JobLimits, cut
from producer.plan import made_plan, to_embed
from producer.survey import survey
from producer.table import check_base, check_covered, commit, history, list_parts, open_table, read, save_plan
from producer.table.compact import compact
from producer.table.log import live_files, open_log
from producer.twins import copy_vectors, find_twins, save_twins, twins_of
from producer.verify import verify
from schemas.errors import RunFailed, TableError
from schemas.footer import read_footer
from schemas.job import part_path
from schemas.run import SourceOptions
from tests.unit.parts import a_receipt, a_record, a_spec, encode, encoded
from tests.unit.source.corpora import opened
from worker.output import write_part

IDS = st.sampled_from([f"d{n}" for n in range(12)])
CORPUS = st.dictionaries(IDS, st.sampled_from(["one", "two", "three", "four"]), min_size=1, max_size=12)


def source_of(folder, corpus, name="corpus"):
    """A JSONL source of these texts by id; None is a text that cannot be read."""
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"id": id_, "text": text}) + "\n" for id_, text in corpus.items()))
    return opened(path)


def begun(table, rows_of, run, *, mode="upsert", **changes):
    """The record of a run, planned against the table as it is now."""
    state = open_table(str(table))
    counted = survey(rows_of)
    record = a_record(
        table,
        run,
        rows=counted.rows,
        tombstones=counted.tombstones,
        mode=mode,
        base_version=None if state is None else state.version,
        **changes,
    )
    wanted = None
    if state is not None and mode != "replace":
        record, planned = made_plan(record, rows_of, state)
        if record.step is not None:
            save_plan(record, planned)
            wanted = planned.embed
    record, twins = find_twins(record, rows_of, wanted, state)
    if twins is not None:
        save_twins(record, twins)
    return record


def worked(record, source, *, per_job=3):
    """Write the parts of a run as workers would."""
    ids = []
    for job in cut(to_embed(record, source, twins_of(record, source)), limits=JobLimits(rows=per_job)):
        receipt = a_receipt(record, job.job).model_copy(update={"source": job.source})
        write_part(job.rows, encoded(job.rows), record=record, receipt=receipt)
        ids += job.rows.column("id").to_pylist()
    return ids


def finish(record, source):
    """Copy what is copied and commit; gives the files of twins."""
    twins = copy_vectors(record, source, twins_of(record, source))
    commit(record, list_parts(record.table, record.run), twins)
    return twins


def ran(table, source, run, **options):
    """One whole run; gives the ids that got a vector."""
    record = begun(table, source, run, **options)
    if record.unchanged:
        return []
    ids = worked(record, source)
    twins = finish(record, source)
    paths = [os.path.join(record.table, file.path) for file in twins.files]
    return ids + [id_ for path in paths for id_ in pq.read_table(path).column("id").to_pylist()]


def held(table, version=None):
    """Ids and texts of a version, found by the vectors; and that no id is there twice."""
    ids, vectors = read(str(table), version)
    assert len(set(ids)) == len(ids)
    known = ["one", "two", "three", "four", "five", *(f"text {n}" for n in range(30))]
    block = encode(known)
    return {id_: known[int(np.abs(block - vector).sum(1).argmin())] for id_, vector in zip(ids, vectors, strict=True)}


class Table(RuleBasedStateMachine):
    """A table is always what its runs say: upserts add and change, syncs also delete, and nothing else happens."""

    @initialize(corpus=CORPUS)
    def first(self, corpus):
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.table = self.path / "t"
        self.runs = 0
        self.model = {}
        self._run(corpus, "upsert")

    def _run(self, corpus, mode):
        self.runs += 1
        before = open_table(str(self.table))
        embedded = ran(self.table, source_of(self.path, corpus), f"run-{self.runs}", mode=mode)
        new = {id_ for id_, text in corpus.items() if self.model.get(id_) != text}
        assert sorted(embedded) == sorted(corpus if mode == "replace" else new)
        gone = {} if mode == "upsert" else {id_ for id_ in self.model if id_ not in corpus}
        after = open_table(str(self.table))
        if before is not None:
            changed = bool(new or gone or mode == "replace")
            assert after.version == before.version + changed
        self.model = {**({} if mode != "upsert" else self.model), **corpus}

    @rule(corpus=CORPUS)
    def upsert(self, corpus):
        self._run(corpus, "upsert")

    @rule(corpus=CORPUS)
    def sync(self, corpus):
        self._run(corpus, "sync")

    @rule(corpus=CORPUS)
    def replace(self, corpus):
        self._run(corpus, "replace")

    @rule(seed=st.randoms())
    def the_same_in_another_order(self, seed):
        shuffled = list(self.model.items())
        seed.shuffle(shuffled)
        self._run(dict(shuffled), "sync")

    @rule()
    def compact(self):
        DeltaTable(self.table).optimize.compact()

    @rule()
    def merge(self):
        compact(str(self.table), target_bytes=6_000)

    @invariant()
    def the_table_is_the_model(self):
        if hasattr(self, "model"):
            assert held(self.table) == self.model

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()


Table.TestCase.settings = settings(
    max_examples=12, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
)
TestTable = Table.TestCase


@pytest.fixture
def table(tmp_path):
    """A table of d0 to d9, in parts of three rows."""
    ran(tmp_path / "t", source_of(tmp_path, {f"d{n}": f"text {n}" for n in range(10)}), "run-1")
    return tmp_path / "t"


def test_every_reader_reads_the_version_right(table, tmp_path):
    assert ran(table, source_of(tmp_path, {"d4": "five", "new": "one", "d5": "text 5"}), "run-2") == ["d4", "new"]
    expected = {**{f"d{n}": f"text {n}" for n in range(10)}, "d4": "five", "new": "one"}
    assert held(table) == expected
    ids = sorted(expected)
    vectors = encode([expected[id_] for id_ in ids])
    delta = DeltaTable(table)
    polars = pl.scan_delta(str(table)).collect().sort("id")
    arrow = delta.to_pyarrow_table().sort_by("id")
    duck = duckdb.execute("SELECT id, embedding FROM read_parquet($1) ORDER BY id", [delta.file_uris()]).fetchall()
    assert polars["id"].to_list() == arrow.column("id").to_pylist() == [row[0] for row in duck] == ids
    for found in polars["embedding"].to_list(), arrow.column("embedding").to_pylist(), [row[1] for row in duck]:
        assert np.array_equal(np.array(found, np.float32), vectors)
    assert held(table, version=0) == {f"d{n}": f"text {n}" for n in range(10)}


def test_files_that_lose_no_row_stay_and_the_others_keep_their_origin(table, tmp_path):
    before = {os.path.relpath(file.path, table) for file in live_files(open_log(str(table)), str(table))}
    ran(table, source_of(tmp_path, {"d4": "five"}), "run-2")
    files = live_files(open_log(str(table)), str(table))
    names = {os.path.relpath(file.path, table) for file in files}
    assert before - names == {part_path("run-1", 1)}
    (kept,) = [file for file in files if "kept-" in file.path]
    assert (kept.rows, read_footer(kept.path).receipt.run) == (2, "run-1")
    schemas = {str(pq.read_schema(file.path).remove_metadata()) for file in files}
    assert len(schemas) == 1


def test_the_history_tells_the_mode_and_the_counts(table, tmp_path):
    ran(table, source_of(tmp_path, {"d4": "five", "d5": "text 5", "new": "one"}), "run-2", mode="sync")
    latest, first = history(str(table))
    assert (latest.mode, latest.rows, latest.reused, latest.deleted) == ("sync", 2, 1, 8)
    assert (first.mode, first.rows, first.reused) == ("upsert", 10, None)
    assert held(table) == {"d4": "five", "d5": "text 5", "new": "one"}


def test_a_row_that_fails_keeps_what_the_table_has_of_it_and_is_tried_again(table, tmp_path):
    source = source_of(tmp_path, {"d4": None, "d5": "five"})
    assert ran(table, source, "run-2", mode="upsert") == ["d4", "d5"]
    assert held(table)["d4"] == "text 4"
    record = begun(table, source, "run-3")
    assert (record.changes.changed, record.changes.reused) == (1, 1)
    worked(record, source)
    assert commit(record, list_parts(record.table, record.run)) == 1, "nothing to commit is no version"
    assert DeltaTable(table).version() == 1


def test_a_second_upsert_goes_on_top_of_the_first_and_loses_none_of_its_rows(table, tmp_path):
    one, two = (source_of(tmp_path, {f"from {n}": "one", "d4": f"text {20 + n}"}, f"c{n}") for n in (1, 2))
    records = [begun(table, source, f"run-{n}") for n, source in ((2, one), (3, two))]
    for record, source in zip(records, (one, two), strict=True):
        worked(record, source)
    assert [commit(record, list_parts(record.table, record.run)) for record in records] == [1, 2]
    assert commit(records[0], []) == 1
    told = [result(record, seconds=0.0) for record in records]
    assert [(one.version, one.chunks) for one in told] == [(1, 11), (2, 12)], "each tells of its own version"
    expected = {**{f"d{n}": f"text {n}" for n in range(10)}, "from 1": "one", "from 2": "one", "d4": "text 22"}
    assert held(table) == expected


def test_a_run_whose_version_can_no_longer_be_opened_tells_of_the_latest(table, tmp_path):
    source = source_of(tmp_path, {"from 2": "one"}, "c2")
    record = begun(table, source, "run-2")
    worked(record, source)
    assert commit(record, list_parts(record.table, record.run)) == 1
    ran(table, source_of(tmp_path, {"from 3": "one"}, "c3"), "run-3")
    DeltaTable(table).create_checkpoint()
    # As cleaning up does: the older entries are gone, and this version is named by one that needs them.
    (table / "_delta_log" / f"{0:020}.json").unlink()
    told = result(record, seconds=0.0)
    assert (told.version, told.chunks) == (2, 12)


def test_a_commit_that_loses_the_race_is_made_again_on_the_new_version(table, tmp_path, monkeypatch):
    one, two = (source_of(tmp_path, {f"from {n}": "one", "d4": f"text {20 + n}"}, f"c{n}") for n in (1, 2))
    records = [begun(table, source, f"run-{n}") for n, source in ((2, one), (3, two))]
    for record, source in zip(records, (one, two), strict=True):
        worked(record, source)
    module = sys.modules["producer.table.commit"]
    publish = module.publish_step

    def late(*given):
        monkeypatch.setattr(module, "publish_step", publish)
        commit(records[0], list_parts(records[0].table, records[0].run))
        return publish(*given)

    monkeypatch.setattr(module, "publish_step", late)
    assert commit(records[1], list_parts(records[1].table, records[1].run)) == 2
    assert held(table)["d4"] == "text 22"
    assert {"from 1", "from 2"} <= held(table).keys()


@pytest.mark.parametrize(("between", "mode"), [("replace", "upsert"), ("upsert", "sync"), ("sync", "upsert")])
def test_after_anything_else_the_run_is_refused(table, tmp_path, between, mode):
    source = source_of(tmp_path, {"d4": "five", "d5": "text 5"})
    record = begun(table, source, "run-2", mode=mode)
    worked(record, source)
    check_base(record)
    ran(table, source_of(tmp_path, {"d1": "one"}, "other"), "run-3", mode=between)
    with pytest.raises(TableError, match=r"version 1 from another run \(run-3\)"):
        commit(record, list_parts(record.table, record.run))
    with pytest.raises(TableError, match="start a new run"):
        check_base(record)
    assert DeltaTable(table).version() == 1


@pytest.mark.parametrize("mode", ["upsert", "sync"])
def test_compaction_in_between_does_no_harm(table, tmp_path, mode):
    source = source_of(tmp_path, {"d4": "five", "d5": "text 5"})
    record = begun(table, source, "run-2", mode=mode)
    worked(record, source)
    DeltaTable(table).optimize.compact()
    assert commit(record, list_parts(record.table, record.run)) == 2
    rest = {f"d{n}": f"text {n}" for n in range(10)} if mode == "upsert" else {"d5": "text 5"}
    assert held(table) == {**rest, "d4": "five"}


def test_another_fingerprint_is_embedded_anew_where_the_source_has_every_row(table, tmp_path):
    spec = a_spec(prompt="query: ")
    few = source_of(tmp_path, {"d1": "one"}, "few")
    state = open_table(str(table))
    record = begun(table, few, "run-2", spec=spec)
    with pytest.raises(TableError) as error:
        check_covered(str(table), state=state, spec=spec, mode="upsert", absent=record.changes.absent)
    assert "prompt: '' in the table, 'query: ' in the run" in str(error.value)
    assert "9 of its rows" in str(error.value)
    check_covered(str(table), state=state, spec=spec, mode="sync", absent=record.changes.absent)

    every = source_of(tmp_path, {f"d{n}": f"text {n}" for n in range(10)}, "every")
    assert len(ran(table, every, "run-3", spec=spec)) == 10
    assert open_table(str(table)).fingerprint == spec.fingerprint
    assert ran(table, few, "run-4", spec=spec, mode="sync") == ["d1"]
    assert held(table) == {"d1": "one"}


def test_sync_with_another_fingerprint_drops_what_the_source_lacks(table, tmp_path):
    source = source_of(tmp_path, {"d1": "text 1"})
    record = begun(table, source, "run-2", mode="sync", spec=a_spec(prompt="x"))
    assert (record.changes.anew, record.changes.embed, record.changes.deleted) == (True, 1, 9)
    worked(record, source)
    commit(record, list_parts(record.table, record.run))
    assert held(table) == {"d1": "text 1"}


def test_a_run_that_lost_its_plan_makes_the_same_one(table, tmp_path):
    source = source_of(tmp_path, {"d4": "five", "d5": "text 5", "new": "one"})
    record = begun(table, source, "run-2", mode="sync")
    plan = table / record.plan_path
    kept = plan.read_bytes()
    for broken in (None, b"", bytes(len(kept))):
        plan.unlink() if broken is None else plan.write_bytes(broken)
        with pytest.raises(RunFailed, match="not complete"):
            commit(record, [])
        assert worked(record, source) == ["d4", "new"]
        assert plan.read_bytes() == kept
    commit(record, list_parts(record.table, record.run))
    assert held(table) == {"d4": "five", "d5": "text 5", "new": "one"}


def test_less_than_the_plan_is_not_committed(table, tmp_path):
    source = source_of(tmp_path, {f"d{n}": "one" for n in range(10)})
    record = begun(table, source, "run-2")
    worked(record, source)
    parts = list_parts(record.table, record.run)
    for missing in range(len(parts)):
        with pytest.raises(RunFailed, match="not complete"):
            commit(record, [part for part in parts if part.receipt.job != missing])
    assert DeltaTable(table).version() == 0


def test_large_ids_and_odd_names(tmp_path):
    table = tmp_path / "a table, 50% ü"
    ran(table, source_of(tmp_path, {"ü/é": "one", "x" * 1000: "two", " ": "three"}), "run-1")
    assert ran(table, source_of(tmp_path, {"ü/é": "two", "x" * 1000: "two", " ": "four"}), "run-2") == [" ", "ü/é"]
    assert held(table) == {"ü/é": "two", "x" * 1000: "two", " ": "four"}


def test_verify_knows_the_sources_of_all_runs_that_rows_are_from(table, tmp_path):
    def findings():
        return [finding.detail for finding in verify(str(table), sample=99, encode=encode)]

    def recorded(name, corpus, run, mode="upsert"):
        source = source_of(tmp_path, corpus, name)
        options = SourceOptions(paths=(str(tmp_path / f"{name}.jsonl"),))
        record = begun(table, source, run, mode=mode, source=options)
        worked(record, source)
        (table / "_runs").mkdir(exist_ok=True)
        (table / record.path).write_text(record.model_dump_json())
        finish(record, source)

    recorded("first", {f"d{n}": "one" for n in range(10)}, "run-2", mode="replace")
    recorded("second", {"d1": "two", "new": "three"}, "run-3")
    assert findings() == []
    source_of(tmp_path, {f"d{n}": "one" for n in range(2, 10)} | {"d9": "four"}, "first")
    assert findings() == ["its text is not the one that was embedded"], "d0 may be missing, d9 may not be another"
    recorded("third", {"d1": "two"}, "run-4", mode="sync")
    source_of(tmp_path, {"d2": "two"}, "third")
    (tmp_path / "second.jsonl").unlink()
    assert findings() == ["the row is no longer in the source"]
