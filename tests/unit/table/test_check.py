"""What a table may be before a run, and how a refusal reads."""

import os
from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from producer.table import check_covered, check_table, open_table, read_record
from schemas.arrow import part_schema
from schemas.errors import TableError
from schemas.run import SourceOptions
from schemas.store import Ranges
from tests.unit.parts import a_record, a_spec
from tests.unit.table.test_commit import committed

SCHEMA = part_schema([], keep_text=False)


def check(table, *, spec=None, mode="upsert", schema=SCHEMA):
    return check_table(str(table), spec=spec or a_spec(), schema=schema, mode=mode)


@pytest.fixture
def table(tmp_path):
    committed(a_record(tmp_path / "t", rows=25))
    return tmp_path / "t"


def test_a_new_folder_is_fine_and_not_made(tmp_path):
    assert check(tmp_path / "a" / "b") is None
    assert not (tmp_path / "a").exists()


def test_runs_that_were_not_committed_are_no_strangers(tmp_path):
    for name in "_runs", "run-1", "_errors", ".cache":
        (tmp_path / name).mkdir()
    (tmp_path / "_runs" / "run-1.json").write_text("{}")
    assert check(tmp_path) is None


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(TableError, match=r"photo\.jpg"):
        check(tmp_path)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TableError, match="is a file"):
        check(tmp_path / "file" / "t")


def test_a_folder_that_cannot_be_written_is_named_with_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("LOGNAME", "somebody")
    with pytest.raises(TableError, match=f"somebody may not write in {tmp_path}"):
        check(tmp_path / "t")


_NAMES = [f"a{chr(code)}b" for code in range(1, 128) if chr(code) != "/"]
_NAMES += [
    "a%20b", "a%2Fb", "a%eb", "a%zb", "100%", " a", "a ", "a.", "...", "e\u0301", "漢字", "\u200b", "\u2028", "😀", "~a"
]  # fmt: skip


def test_a_folder_of_any_name_holds_a_table_or_is_refused_before_anything_is_embedded(tmp_path):
    refused = set()
    for number, name in enumerate(_NAMES):
        table = tmp_path / str(number) / name / "t"
        try:
            check(table)
        except TableError:
            refused.add(name)
            continue
        committed(a_record(table, rows=25))
        assert open_table(str(table)).version == 0
        assert len(DeltaTable(table).history()) == 1
        assert len(os.listdir(table / "run-1")) == 3
    assert refused == {name for name in _NAMES if not name.isprintable() and name.isascii()} | {
        "a#b", "a?b", "a\\b", "a%20b", "a%2Fb", "a%eb"
    }  # fmt: skip


def test_what_is_wrong_with_a_folders_name_is_said():
    with pytest.raises(TableError, match=r"'%20' in its name\n  -> choose another folder"):
        check("/data/new%20york/t")


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_columns_that_no_delta_table_can_have_are_refused_before_anything_is_embedded(table, tmp_path, mode):
    kept = [pa.field("kept", pa.struct([("a", pa.int8()), ("A", pa.int8())]))]
    for place in [tmp_path / "new", *([table] if mode == "replace" else [])]:
        with pytest.raises(TableError, match=r"Duplicate field name \(case-insensitive\): 'A'"):
            check(place, schema=part_schema(kept, keep_text=False), mode=mode)
    assert not (tmp_path / "new").exists()


def test_a_delta_table_of_others_is_refused(tmp_path):
    write_deltalake(str(tmp_path / "t"), pa.table({"a": [1]}))
    with pytest.raises(TableError, match="no run of Vecmill"):
        check(tmp_path / "t")


def test_another_fingerprint_is_told_as_what_differs(table):
    spec = a_spec(prompt="query: ", max_tokens=128)
    state = check(table, spec=spec)
    with pytest.raises(TableError) as error:
        check_covered(str(table), state=state, spec=spec, mode="upsert", absent=3)
    assert "prompt: '' in the table, 'query: ' in the run" in str(error.value)
    assert "max_tokens: None in the table, 128 in the run" in str(error.value)
    assert "dims" not in str(error.value)
    assert "--mode replace" in str(error.value)
    for mode, absent in ("upsert", 0), ("sync", 3):
        check_covered(str(table), state=state, spec=spec, mode=mode, absent=absent)


def test_where_the_model_lies_does_not_matter(table):
    state = check(table, spec=a_spec(model="/elsewhere"))
    check_covered(str(table), state=state, spec=a_spec(model="/elsewhere"), mode="upsert", absent=3)


@pytest.mark.parametrize(
    ("had", "has", "told"),
    [
        ({}, {"year": pa.int32()}, r"year is missing in the table, .*integer"),
        ({"year": pa.int32()}, {}, r"year is .*integer.* in the table, missing in the run"),
        ({"year": pa.int32()}, {"year": pa.string()}, r"year is .*integer.* in the table, .*string"),
    ],
)
@pytest.mark.parametrize("mode", ["upsert", "sync", "replace"])
def test_columns_that_come_go_or_change_are_named_and_replaced_only_when_asked(tmp_path, mode, had, has, told):
    before, after = (part_schema([pa.field(*one) for one in kept.items()], keep_text=False) for kept in (had, has))
    committed(a_record(tmp_path / "t", rows=25))
    state = replace(open_table(str(tmp_path / "t")), schema=before)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producer.table.check.open_table", lambda table: state)
        if mode == "replace":
            assert check(tmp_path / "t", mode=mode, schema=after) == state
            return
        with pytest.raises(TableError, match=told) as error:
            check(tmp_path / "t", mode=mode, schema=after)
        assert "--keep" in error.value.way_out
        assert check(tmp_path / "t", mode=mode, schema=before) == state


def test_replace_takes_any_table_of_ours(table):
    state = check(table, spec=a_spec(prompt="x"), mode="replace", schema=part_schema([], keep_text=True))
    assert (state.version, state.run, state.spec) == (0, "run-1", a_spec())


@pytest.mark.parametrize("mode", ["upsert", "sync"])
def test_a_run_may_go_on_top_of_a_version_of_the_same_columns_and_store(table, mode):
    assert check(table, mode=mode).version == 0
    with pytest.raises(TableError, match="keeps its vectors as float32"):
        check_table(str(table), spec=a_spec(), schema=SCHEMA, mode=mode, store="int8")


def test_codes_whose_ranges_are_lost_take_no_more(tmp_path):
    ranges = Ranges(least=(-1.0,) * 8, greatest=(1.0,) * 8)
    committed(a_record(tmp_path / "t", rows=25, store="int8", ranges=ranges))
    options = {"spec": a_spec(), "schema": part_schema([], keep_text=False, store="int8"), "store": "int8"}
    assert check_table(str(tmp_path / "t"), mode="upsert", **options).ranges == ranges
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("producer.table.check.open_table", lambda table: replace(open_table(table), ranges=None))
        with pytest.raises(TableError, match="ranges"):
            check_table(str(tmp_path / "t"), mode="upsert", **options)


def test_the_spec_is_found_without_the_history(table, monkeypatch):
    monkeypatch.setattr("producer.table.state.commit_of", lambda history, version: None)
    assert open_table(str(table)).spec == a_spec()
    DeltaTable(str(table)).optimize.compact()
    record = a_record(table, rows=25)
    (table / "_runs").mkdir()
    (table / record.path).write_text(record.model_dump_json())
    assert open_table(str(table)).run == "run-1"


def test_records_are_read_back(tmp_path):
    record = a_record(tmp_path, source=SourceOptions(paths=("x",)))
    (tmp_path / "_runs").mkdir()
    (tmp_path / record.path).write_text(record.model_dump_json())
    assert read_record(str(tmp_path), "run-1") == record
    assert read_record(str(tmp_path), "run-2") is None
