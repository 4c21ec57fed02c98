"""Rows that say that an id is to go: found in every format, counted in no place, checked by their type."""

import json

import pyarrow as pa
import pytest

from producer.chunk.chunked import Chunked
from producer.chunk.cuts import cut_all
from producer.survey import survey
from producer.table.check import _differing_columns
from schemas.arrow import kept_fields, part_schema
from schemas.errors import SourceError, UsageError
from tests.unit.chunk.test_chunked import ByLetters
from tests.unit.source.corpora import all_rows, opened, write_jsonl, write_parquet
from tests.unit.source.test_every_format import write

ROWS = [
    {"id": f"d{n}", "text": None if n % 5 == 0 else f"text {n}", "gone": {0: True, 1: None, 2: False}[n % 3]}
    for n in range(40)
]
DEAD = [row["id"] for row in ROWS if row["gone"]]
ALIVE = [row["id"] for row in ROWS if not row["gone"]]
KINDS = [".jsonl", ".jsonl.gz", ".csv", ".parquet", ".arrow"]


def dead(source):
    return [id_ for ids in source.tombstones() for id_ in ids.to_pylist()]


@pytest.mark.parametrize("kind", KINDS)
def test_tombstones_are_no_rows(kind, tmp_path):
    path = write(tmp_path, kind, ROWS)
    source = opened(path, deleted_column="gone")
    rows = all_rows(path, deleted_column="gone")
    assert [row["id"] for row in rows] == ALIVE
    assert set(rows[0]) == {"id", "chunk", "text", "problem"}
    assert dead(source) == DEAD
    counted = survey(source)
    assert (counted.rows, counted.tombstones) == (len(ALIVE), len(DEAD))
    assert [bool(row["problem"]) for row in rows] == [int(row["id"][1:]) % 5 == 0 for row in rows]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunked", [False, True])
def test_reading_from_any_place_gives_the_rest(kind, chunked, tmp_path):
    source = opened(write(tmp_path, kind, ROWS), deleted_column="gone")
    rows = Chunked(source, cut_all(source, ByLetters(3))) if chunked else source
    whole = [row for batch in rows.batches() for row in batch.rows.to_pylist()]
    places = [batch.after(n) for batch in rows.batches() for n in range(1, batch.rows.num_rows + 1)]
    assert len(places) == len(whole)
    for at, place in enumerate(places, start=1):
        assert place.total == at
        assert [row for batch in rows.batches(place) for row in batch.rows.to_pylist()] == whole[at:]


def test_lines_may_lack_the_key_and_only_their_tombstones_have_it(tmp_path):
    many = [{"id": f"d{n}", "text": "a"} for n in range(1_100)]
    path = write_jsonl(tmp_path / "corpus.jsonl", [*many, {"id": "late", "gone": True}])
    assert dead(opened(path, deleted_column="gone")) == ["late"]
    write_jsonl(path, [{"id": "d", "text": "a", "gone": None}])
    assert dead(opened(path, deleted_column="gone")) == []
    write_jsonl(path, [{"id": "d", "meta": {"gone": True}}, {"id": "e", "text": "a"}])
    assert dead(opened(path, deleted_column="meta.gone")) == ["d"]


def test_a_column_of_another_type_is_refused(tmp_path):
    for column in (pa.array([0, 1]), pa.array(["true", "false"])):
        path = write_parquet(tmp_path / "corpus.parquet", {"id": ["a", "b"], "text": ["a", "b"], "gone": column})
        with pytest.raises(SourceError, match=r"column gone is .*; needed are true, false or null"):
            opened(path, deleted_column="gone")
    path.unlink()
    for value in (1, "true"):
        path = write_jsonl(tmp_path / "corpus.jsonl", [{"id": "a", "text": "a", "gone": value}])
        with pytest.raises(SourceError, match="column gone is"):
            opened(path, deleted_column="gone")
    path = tmp_path / "corpus.csv"
    path.write_text("id,text,gone\na,a,0\n")
    with pytest.raises(SourceError, match="column gone is int64"):
        opened(path, deleted_column="gone")
    with pytest.raises(SourceError, match="has no column dropped"):
        opened(path, deleted_column="dropped")
    path.write_text("id,text,gone\na,a,\n")
    assert dead(opened(path, deleted_column="gone")) == []
    empty = write_parquet(tmp_path / "empty.parquet", {"id": ["a"], "text": ["a"], "gone": pa.nulls(1)})
    assert dead(opened(empty, deleted_column="gone")) == []


def test_a_value_of_another_type_behind_the_first_rows_fails_its_row_and_deletes_nothing(tmp_path):
    rows = [{"id": f"d{n}", "text": "a", "gone": False} for n in range(1_100)]
    path = write_jsonl(tmp_path / "corpus.jsonl", [*rows, {"id": "odd", "text": "a", "gone": "yes"}])
    assert dead(opened(path, deleted_column="gone")) == []
    last = all_rows(path, deleted_column="gone")[-1]
    assert (last["id"], last["text"]) == ("odd", None)
    assert "the gone is a text, not bool" in last["problem"]


def test_a_tombstone_without_an_id_is_a_failed_row(tmp_path):
    rows = [{"id": None, "gone": True}, {"id": "", "gone": True}, {"id": "a", "text": "a", "gone": False}]
    source = opened(write_jsonl(tmp_path / "corpus.jsonl", rows), deleted_column="gone")
    assert dead(source) == []
    problems = [problem for batch in source.batches() for problem in batch.rows.column("problem").to_pylist()]
    assert [problem and problem.split(": ")[1] for problem in problems] == ["the id is null", "the id is empty", None]


def test_an_id_that_is_there_and_is_to_go_is_refused(tmp_path):
    rows = [{"id": "a", "text": "a", "gone": False}, {"id": "a", "gone": True}]
    source = opened(write_jsonl(tmp_path / "corpus.jsonl", rows), deleted_column="gone")
    with pytest.raises(SourceError, match=r"more than once in the source: a \(2 times\)"):
        survey(source)


def test_what_makes_no_sense_is_refused(tmp_path):
    lines = tmp_path / "corpus.txt"
    lines.write_text("a\n")
    with pytest.raises(SourceError, match="plain text and has no column gone"):
        opened(lines, deleted_column="gone")
    path = write_jsonl(tmp_path / "corpus.jsonl", [{"text": "a", "gone": True}])
    with pytest.raises(SourceError, match="has no id column, so no tombstone names a row"):
        opened(path, deleted_column="gone")
    with pytest.raises(UsageError, match="--limit and --deleted-column do not go together"):
        opened(path, deleted_column="gone", limit=1)


def test_the_column_can_be_kept_too(tmp_path):
    path = tmp_path / "corpus.csv"
    path.write_text("id,text,gone\na,a,false\nb,,TRUE\nc,c,\n")
    rows = all_rows(path, deleted_column="gone", keep=("gone",))
    assert [(row["id"], row["gone"]) for row in rows] == [("a", False), ("c", None)]
    assert json.dumps(dead(opened(path, deleted_column="gone"))) == '["b"]'


def tombstones(path, count, *rows):
    return write_jsonl(path, [*({"id": f"t{n}", "gone": True} for n in range(count)), *rows])


def test_kept_columns_have_the_types_of_the_living_however_late_they_come(tmp_path):
    living = {"id": "a", "text": "a", "gone": False, "year": 1999}
    late = tombstones(tmp_path / "a.jsonl", 1_500, living)
    assert all_rows(late, deleted_column="gone", keep=("year",))[0]["year"] == 1999
    late.write_text("")
    tombstones(tmp_path / "b.jsonl", 3)
    write_jsonl(tmp_path / "c.jsonl", [living])
    assert all_rows(tmp_path, deleted_column="gone", keep=("year",))[0]["year"] == 1999


def test_of_tombstones_alone_the_kept_columns_are_as_the_table_has_them(tmp_path):
    source = opened(tombstones(tmp_path / "a.jsonl", 3), deleted_column="gone", keep=("year",))
    table = part_schema([pa.field("year", pa.int64())], keep_text=False)
    assert _differing_columns(table, part_schema(kept_fields(source.schema), keep_text=False)) == []
    other = opened(tombstones(tmp_path / "a.jsonl", 3), deleted_column="gone", keep=("other",))
    assert len(_differing_columns(table, part_schema(kept_fields(other.schema), keep_text=False))) == 2
    rows = write_jsonl(tmp_path / "b.jsonl", [{"id": "a", "text": "a", "gone": False, "year": "x"}])
    living = opened(rows, deleted_column="gone", keep=("year",))
    assert len(_differing_columns(table, part_schema(kept_fields(living.schema), keep_text=False))) == 1
