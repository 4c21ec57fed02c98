"""The query in docs/operations.md makes a source of a Delta table's changes, as its pages say."""

import os
import re
import runpy
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from producer.source import open_source
from schemas.run import SourceOptions

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"


@pytest.mark.parametrize("feature", ["true", "false"])
def test_the_changes_of_a_table_are_a_source(tmp_path, monkeypatch, feature):
    monkeypatch.chdir(tmp_path)
    rows = {"id": ["a", "b", "c"], "text": ["one", "two", "three"]}
    write_deltalake("articles", pa.table(rows), configuration={"delta.enableChangeDataFeed": feature})
    write_deltalake("articles", pa.table({"id": ["d", "e"], "text": ["four", "five"]}), mode="append")
    DeltaTable("articles").delete("id = 'a'")
    DeltaTable("articles").update(updates={"text": "'changed'"}, predicate="id = 'b'")
    DeltaTable("articles").update(updates={"text": "'changed again'"}, predicate="id = 'b'")
    DeltaTable("articles").delete("id = 'e'")
    DeltaTable("articles").optimize.compact()
    code = next(one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "load_cdf" in one)
    (tmp_path / "recipe.py").write_text(code)
    runpy.run_path("recipe.py")
    source = open_source(SourceOptions(paths=(os.fspath(tmp_path / "changes.parquet"),), deleted_column="gone"))
    found = [row for batch in source.batches() for row in batch.rows.to_pylist()]
    expected = {"b": "changed again", "d": "four"}
    # Without the feature, rows that lay in the same files come, too, as they are.
    unchanged = {"c": "three"} if feature == "false" else {}
    assert {row["id"]: row["text"] for row in found} == expected | unchanged
    assert sorted(id_ for ids in source.tombstones() for id_ in ids.to_pylist()) == ["a", "e"]
