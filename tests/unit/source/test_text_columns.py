"""Texts out of nested columns and of several columns: the same from every format."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.source.template import Template
from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened, write_jsonl, write_parquet

NESTED = [
    {"id": "a", "meta": {"title": "one", "by": {"name": "Ann"}, "year": 7}, "body": "x"},
    {"id": "b", "meta": {"title": None, "by": None, "year": 8}, "body": None},
    {"id": "c", "meta": None, "body": "z"},
]


def _write(folder, kind, rows):
    if kind == "jsonl":
        return write_jsonl(folder / "a.jsonl", rows)
    table = pa.Table.from_pylist(rows)
    if kind == "parquet":
        pq.write_table(table, folder / "a.parquet", row_group_size=2)
    else:
        with pa.ipc.new_stream(str(folder / "a.arrow"), table.schema) as writer:
            writer.write_table(table)
    return folder / f"a.{kind}"


each = pytest.mark.parametrize("kind", ["jsonl", "parquet", "arrow"])


@each
def test_columns_inside_objects_by_dotted_path(tmp_path, kind):
    rows = all_rows(_write(tmp_path, kind, NESTED), text_column="meta.title", keep=("meta.by.name", "meta.year"))
    assert [(row["text"], row["meta_by_name"], row["meta_year"]) for row in rows] == [
        ("one", "Ann", 7), (None, None, 8), (None, None, None),
    ]  # fmt: skip
    assert [bool(row["problem"]) for row in rows] == [False, True, True]


@each
def test_an_id_inside_an_object(tmp_path, kind):
    path = _write(tmp_path, kind, [{"meta": {"key": "a"}, "text": "x"}, {"meta": {"key": "b"}, "text": "y"}])
    source = opened(path, id_column="meta.key")
    assert [id_ for ids in source.ids() for id_ in ids.to_pylist()] == ["a", "b"]
    assert [row["id"] for row in all_rows(path, id_column="meta.key")] == ["a", "b"]


@each
def test_a_column_of_that_very_name_comes_first(tmp_path, kind):
    path = _write(tmp_path, kind, [{"id": "a", "meta": {"title": "inside"}, "meta.title": "flat"}])
    assert [row["text"] for row in all_rows(path, text_column="meta.title")] == ["flat"]


@each
@pytest.mark.parametrize("column", ["meta.nothing", "meta.title.more", "nothing.title", "meta.by", "meta."])
def test_a_path_that_leads_nowhere_is_told(tmp_path, kind, column):
    path = _write(tmp_path, kind, NESTED)
    if kind == "jsonl" and column == "meta.by":
        # Of lines only the values tell their types.
        assert "is an object" in all_rows(path, text_column=column)[0]["problem"]
    else:
        with pytest.raises(SourceError, match=r"meta\.by is struct|no column"):
            opened(path, text_column=column)


def test_two_kept_columns_of_one_name_are_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"text": ["x"], "a_b": [1], "a": [{"b": 2}]})
    with pytest.raises(SourceError, match="two kept columns would be named a_b"):
        opened(path, keep=("a_b", "a.b"))
    with pytest.raises(SourceError, match="table has its own n_tokens"):
        opened(write_parquet(tmp_path / "b.parquet", {"text": ["x"], "n": [{"tokens": 2}]}), keep=("n.tokens",))


@each
def test_a_template_of_several_columns(tmp_path, kind):
    path = _write(tmp_path, kind, NESTED)
    texts = [row["text"] for row in all_rows(path, text_column=r"{meta.title}\n\n{body} ({{{meta.year}}})")]
    assert texts == ["one\n\nx ({7})", "\n\n ({8})", "\n\nz ({})"]
    rows = all_rows(path, text_column="{meta.title}: {body}")
    assert [row["text"] for row in rows] == ["one: x", None, ": z"]
    assert rows[1]["problem"].endswith("the text is null")


def test_a_template_over_csv_where_empty_is_null(tmp_path):
    (tmp_path / "a.csv").write_text("id,title,body\na,one,x\nb,,\nc,,z\n")
    rows = all_rows(tmp_path / "a.csv", text_column="{title}: {body}")
    assert [row["text"] for row in rows] == ["one: x", None, ": z"]


def test_what_is_no_text_in_a_template_is_the_rows_problem(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": "a", "title": ["x"], "body": "y"}, {"id": "b", "title": True}])
    assert [row["problem"] for row in all_rows(path, text_column="{title} {body}")] == [
        "a.jsonl line 1: the title is a list, not a text",
        "a.jsonl line 2: the title is a boolean, not a text",
    ]
    with pytest.raises(SourceError, match="column n is double; needed are texts or integers"):
        opened(write_parquet(tmp_path / "b.parquet", {"n": [0.5], "text": ["x"]}), text_column="{n} {text}")


@pytest.mark.parametrize("option", ["{title", "title}", "{}", "{title:>5}", "{title!r}", "{{}}"])
def test_what_is_no_template_is_told(tmp_path, option):
    with pytest.raises(SourceError, match="no template"):
        opened(write_parquet(tmp_path / "a.parquet", {"title": ["x"]}), text_column=option)


_VALUES = st.lists(
    st.tuples(*[st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))] * 2), min_size=1
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(values=_VALUES)
def test_a_template_is_what_format_makes_of_it(tmp_path, values):
    option = "T: {title}\n{body}."
    rows = [{"id": str(n), "title": title, "body": body} for n, (title, body) in enumerate(values)]
    wanted = [
        None if (title, body) == (None, None) else option.format(title=title or "", body=body or "")
        for title, body in values
    ]
    lines = tmp_path / "a.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [row["text"] for row in all_rows(lines, text_column=option)] == wanted
    columns = [pa.array([row[name] for row in rows], pa.string()) for name in ("title", "body")]
    assert Template.of(option).joined(columns).to_pylist() == wanted
