"""Kept columns have types that Delta can hold; values that do not fit are row problems."""

import datetime as dt

import pyarrow as pa
import pytest

from producer.source.types import delta_type
from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened, write_jsonl, write_parquet


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        (pa.uint8(), pa.int16()),
        (pa.uint16(), pa.int32()),
        (pa.uint32(), pa.int64()),
        (pa.uint64(), pa.int64()),
        (pa.int8(), pa.int8()),
        (pa.float16(), pa.float32()),
        (pa.large_string(), pa.string()),
        (pa.string_view(), pa.string()),
        (pa.binary(4), pa.binary()),
        (pa.date64(), pa.date32()),
        (pa.timestamp("ns"), pa.timestamp("us")),
        (pa.timestamp("ms", tz="Asia/Tokyo"), pa.timestamp("us", tz="UTC")),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()),
        (pa.decimal128(10, 2), pa.decimal128(10, 2)),
        (pa.decimal128(10, -2), None),
        (pa.large_list(pa.uint8()), pa.list_(pa.field("element", pa.int16()))),
        (pa.struct([("a", pa.uint8())]), pa.struct([("a", pa.int16())])),
        (pa.map_(pa.string(), pa.uint8()), pa.map_(pa.string(), pa.int16())),
        (pa.time64("us"), None),
        (pa.duration("s"), None),
        (pa.null(), None),
        (pa.list_(pa.duration("s")), None),
    ],
)
def test_each_type_becomes_one_that_delta_holds(given, becomes):
    assert delta_type(given) == becomes


def test_kept_parquet_columns_are_converted(tmp_path):
    at = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
    columns = {
        "text": ["a", "b"],
        "n": pa.array([1, None], pa.uint16()),
        "at": pa.array([at, None], pa.timestamp("ns")),
        "tags": pa.array([["x"], []], pa.large_list(pa.string())),
        "half": pa.array([0.5, 1.5], pa.float32()).cast(pa.float16()),
        "kind": pa.array(["k", "k"]).dictionary_encode(),
    }
    path = write_parquet(tmp_path / "a.parquet", columns)
    keep = ("n", "at", "tags", "half", "kind")
    rows = all_rows(path, keep=keep)
    assert [tuple(row[name] for name in keep) for row in rows] == [(1, at, ["x"], 0.5, "k"), (None, None, [], 1.5, "k")]
    schema = opened(path, keep=keep).schema
    assert schema.field("n").type == pa.int32()
    assert schema.field("tags").type == pa.list_(pa.field("element", pa.string()))


def test_a_kept_value_that_does_not_fit_is_a_row_problem(tmp_path):
    rows = all_rows(
        write_parquet(tmp_path / "a.parquet", {"text": ["a", "b"], "n": pa.array([1, 2**63], pa.uint64())}), keep=("n",)
    )
    assert [row["problem"] for row in rows] == [None, "a.parquet row 1: the n is not valid int64"]
    many = [{"id": n, "text": "t", "year": n} for n in range(1500)] + [{"id": 1500, "text": "t", "year": "soon"}]
    last = all_rows(write_jsonl(tmp_path / "a.jsonl", many), keep=("year",))[-1]
    assert (last["problem"], last["text"]) == ("a.jsonl line 1501: the year is a text, not int64", None)


@pytest.mark.parametrize(
    ("first", "other"),
    [(1, 1.5), (1, True), (1.5, True), (["a"], "bc"), ({"a": 1}, {"a": 1, "b": 2}), ([1], [1.5]), (1, 2**70), ("a", 1)],
)
def test_no_json_value_is_bent_to_fit(tmp_path, first, other):
    rows = [{"id": n, "text": "t", "x": first} for n in range(1000)] + [{"id": 1000, "text": "t", "x": other}]
    *good, last = all_rows(write_jsonl(tmp_path / "a.jsonl", rows), keep=("x",))
    assert {row["problem"] for row in good} == {None}
    assert good[0]["x"] == first
    assert "line 1001: the x is " in last["problem"]
    assert last["x"] is None


def test_whole_numbers_fit_where_the_first_rows_have_fractions(tmp_path):
    rows = [{"id": 1, "text": "t", "x": 0.5}, {"id": 2, "text": "t", "x": 2}, {"id": 3, "text": "t"}]
    assert [row["x"] for row in all_rows(write_jsonl(tmp_path / "a.jsonl", rows), keep=("x",))] == [0.5, 2.0, None]


def test_csv_types_are_those_of_the_first_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text,year,share,zip,yes\n1,a,1999,0.5,007,true\n2,b,,1,010,False\n")
    rows = all_rows(path, keep=("year", "share", "zip", "yes"))
    assert [(r["year"], r["share"], r["zip"], r["yes"]) for r in rows] == [
        (1999, 0.5, "007", True),
        (None, 1.0, "010", False),
    ]


@pytest.mark.parametrize("name", ["chunk", "embedding", "text_hash", "ID", "Text", "EMBEDDING", "Start"])
def test_reserved_names_cannot_be_kept(tmp_path, name):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "text": "x", name: "y"}])
    with pytest.raises(SourceError, match=f"cannot be named {name}: the table has its own {name.lower()}"):
        opened(path, keep=(name,))


def test_who_keeps_what_may_be_the_id_is_told_so(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"ID": 1, "text": "x"}])
    with pytest.raises(SourceError, match=r"-> --id-column ID, if it is the id"):
        opened(path, keep=("ID",))


@pytest.mark.parametrize("names", [("lang", "Lang"), ("a.B", "A_b"), ("Ä", "ä")])
def test_names_that_differ_by_case_alone_cannot_be_kept_together(tmp_path, names):
    path = write_parquet(tmp_path / "a.parquet", {"text": ["x"], "a": [{"B": 1}]} | {name: [1] for name in names})
    assert len(opened(path, keep=names[:1]).schema.names) == 5
    with pytest.raises(SourceError, match="two kept columns would be named"):
        opened(path, keep=names)


@pytest.mark.parametrize("name", ["id", "ID", "Id"])
def test_keeping_the_id_is_nothing_new(tmp_path, name):
    path = write_jsonl(tmp_path / "a.jsonl", [{name: 1, "text": "x"}])
    options = {} if name == "id" else {"id_column": name}
    assert opened(path, keep=(name,), **options).schema.names == ["id", "chunk", "text", "problem"]


def test_files_that_disagree_on_a_type_are_refused(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "text": "x", "year": 1}])
    write_jsonl(tmp_path / "b.jsonl", [{"id": 2, "text": "x", "year": "one"}])
    with pytest.raises(SourceError, match=r"b\.jsonl: column year is string, but int64"):
        all_rows(tmp_path, keep=("year",))


def test_a_type_that_delta_cannot_hold_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"text": ["a"], "took": pa.array([1], pa.duration("s"))})
    with pytest.raises(SourceError, match="took"):
        opened(path, keep=("took",))
