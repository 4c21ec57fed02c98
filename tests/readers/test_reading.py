"""docs/reading.md: each of its blocks, run as it stands, gives the ids and vectors that are in the table."""

import re
from pathlib import Path

import duckdb
import numpy as np
import pytest

from producer.table.compact import compact
from producer.table.upkeep import vacuum
from tests.unit.parts import encode
from tests.unit.table.test_upsert import ran, source_of

pytestmark = pytest.mark.readers

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
ANY_VERSION, PLAIN = (
    dict(re.findall(r"^### (.+?)$.*?^```python\n(.*?)^```$", half, re.MULTILINE | re.DOTALL))
    for half in re.split(r"^## The folder as plain Parquet$", PAGE, flags=re.MULTILINE)
)
FIRST = {f"d{n}": f"text {n}" for n in range(30)} | {"bad": None}
#: One row goes, one changes, one comes; so the second version has a file of the first, rewritten ones and new ones.
SECOND = {id_: text for id_, text in FIRST.items() if id_ != "d3"} | {"d11": "another text", "new": "a new text"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a reader of the page would type: the folder of `out/`. Nobody's cache is used."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path


def embed(folder, corpus, run):
    """A run as workers would do it; gives the ids and vectors that the table then has."""
    ran(folder / "here" / "out", source_of(folder, corpus, run), run, mode="sync")
    there = {id_: text for id_, text in sorted(corpus.items()) if text is not None}
    return list(there), encode(list(there.values()))


def run(block):
    """The ids, in order, the vectors in that order, and the whole outcome."""
    outcome = {}
    exec(block, outcome)
    order = np.argsort(outcome["ids"])
    ids = [outcome["ids"][at] for at in order]
    return ids, np.stack([np.asarray(vector) for vector in outcome["vectors"]])[order], outcome


def assert_reads(block, expected):
    ids, vectors, outcome = run(block)
    assert ids == expected[0]
    assert np.array_equal(vectors, expected[1])
    if "nearest" in outcome:
        assert len(outcome["nearest"]) == 3
        assert outcome["nearest"][0] == outcome["ids"][0]


def test_the_blocks_were_found():
    assert len(ANY_VERSION) == 8
    assert len(PLAIN) == 5
    assert PAGE.count("```python") == 13


@pytest.mark.parametrize("reader", [*ANY_VERSION, *PLAIN])
def test_after_a_first_run(folder, reader):
    assert_reads((ANY_VERSION | PLAIN)[reader], embed(folder, FIRST, "run-1"))


@pytest.mark.parametrize("reader", ANY_VERSION)
def test_after_later_versions(folder, reader):
    embed(folder, FIRST, "run-1")
    assert_reads(ANY_VERSION[reader], embed(folder, SECOND, "run-2"))


@pytest.mark.parametrize("reader", PLAIN)
def test_the_folder_after_later_versions_once_it_is_tidy(folder, reader):
    embed(folder, FIRST, "run-1")
    expected = embed(folder, SECOND, "run-2")
    ids, _, _ = run(PLAIN[reader])
    assert len(ids) > len(set(ids)), "before, the page says, older rows are there, too"
    compact("out")
    vacuum("out", keep_days=0)
    assert_reads(PLAIN[reader], expected)


def test_the_truncated_rows_are_found_as_the_page_says(folder):
    embed(folder, FIRST, "run-1")
    (query,) = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    # The tests' parts call a text truncated that has more than 5 characters: "text 0" and all others.
    assert sorted(id_ for id_, _, _ in duckdb.sql(query).fetchall()) == sorted(FIRST.keys() - {"bad"})
