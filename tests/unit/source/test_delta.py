"""A Delta table is read at one version, as its log says, not as its folder looks."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from producer.source.delta import pinned, pinned_as
from schemas.errors import SourceError
from schemas.run import SourceOptions
from tests.unit.source.corpora import all_rows, opened


def _write(path, texts, **options):
    write_deltalake(path, pa.table({"id": list(texts), "text": list(texts.values())}), **options)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table"
    _write(path, {"a": "old", "b": "old"})
    _write(path, {"c": "new"}, mode="overwrite")
    return path


def _texts(path, **options):
    return {row["id"]: row["text"] for row in all_rows(path, **options)}


def test_the_latest_version_or_one_that_is_named(table):
    assert _texts(table) == {"c": "new"}
    assert _texts(f"{table}@0") == {"a": "old", "b": "old"}
    with pytest.raises(SourceError, match="no version 2; its latest is 1"):
        opened(f"{table}@2")


def test_a_table_below_a_folder_is_read_as_one(table, tmp_path):
    (tmp_path / "more.txt").write_text("three\n")
    assert _texts(tmp_path) == {"c": "new", "more.txt#0": "three"}


def test_a_path_that_ends_like_a_version_is_a_path_first(tmp_path):
    (tmp_path / "notes@3").mkdir()
    (tmp_path / "notes@3" / "a.txt").write_text("one\n")
    assert _texts(tmp_path / "notes@3") == {"a.txt#0": "one"}


def test_a_pinned_source_stays_when_the_table_moves_on(table):
    asked = SourceOptions(paths=(str(table), "other.txt"))
    begun = pinned(asked)
    assert begun.paths == (f"{table}@1", "other.txt")
    state = opened(begun.paths[0]).state
    _write(table, {"d": "newer"}, mode="overwrite")
    assert (_texts(begun.paths[0]), opened(begun.paths[0]).state) == ({"c": "new"}, state)
    assert _texts(table) == {"d": "newer"}
    assert pinned_as(asked, begun) == begun
    assert pinned_as(SourceOptions(paths=(f"{table}@0", "other.txt")), begun).paths[0] == f"{table}@0"
    assert pinned(begun) == begun


def test_columns_that_older_files_lack_are_null_and_partitions_are_columns(tmp_path):
    path = tmp_path / "table"
    write_deltalake(path, pa.table({"id": ["a"], "text": ["x"], "lang": ["de é/1"]}), partition_by=["lang"])
    more = pa.table({"id": ["b"], "text": ["y"], "lang": pa.array([None], pa.string()), "title": ["t"]})
    write_deltalake(path, more, mode="append", schema_mode="merge")
    rows = sorted(all_rows(path, keep=("lang", "title"), text_column="{lang}: {text}"), key=lambda row: row["id"])
    assert [(row["text"], row["lang"], row["title"]) for row in rows] == [
        ("de é/1: x", "de é/1", None), (": y", None, "t"),
    ]  # fmt: skip
    assert sorted(row["text"] or "" for row in all_rows(path, text_column="lang")) == ["", "de é/1"]


def test_what_is_more_than_files_is_refused(table, tmp_path):
    DeltaTable(table).alter.set_table_properties({"delta.enableDeletionVectors": "true"}, raise_if_not_exists=False)
    assert "deletionVectors" in (DeltaTable(table).protocol().reader_features or ())
    with pytest.raises(SourceError, match="deletionVectors"):
        opened(table)


def test_a_log_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(SourceError, match="cannot read the Delta table"):
        opened(tmp_path)
    with pytest.raises(SourceError, match="its files are Parquet"):
        opened(tmp_path, format="jsonl")
