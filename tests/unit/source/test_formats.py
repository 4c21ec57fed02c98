"""The same rows come out of every format, and what is wrong is named with its place."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.source import Cursor
from producer.source.parquet import _groups_from
from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened, write_jsonl, write_parquet

ROWS = [{"id": f"d{n}", "text": f'text {n}\nwith two lines, "and" quotes', "year": 1900 + n} for n in range(30)]
_TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=40)


def _write(folder: Path, kind: str, rows: list[dict]) -> Path:
    path = folder / f"corpus.{kind}"
    if kind == "jsonl":
        return write_jsonl(path, rows)
    if kind == "parquet":
        return write_parquet(path, {name: [row[name] for row in rows] for name in rows[0]}, row_group_size=7)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_rows_come_out_as_they_went_in(tmp_path, kind):
    rows = all_rows(_write(tmp_path, kind, ROWS), keep=("year",))
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS
    assert {row["chunk"] for row in rows} == {0}
    assert {row["problem"] for row in rows} == {None}


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=_TEXTS)
def test_any_text_survives_every_format(tmp_path, kind, texts):
    rows = [{"id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    # CSV knows no difference between an empty text and none.
    wanted = [text or None for text in texts] if kind == "csv" else texts
    assert [row["text"] for row in all_rows(_write(tmp_path, kind, rows))] == wanted


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_empty_texts_and_blank_ones_and_none(tmp_path, kind):
    rows = [{"id": f"d{n}", "text": text} for n, text in enumerate(["", None, " ", "\t\n", "nul\0in"])]
    found = all_rows(_write(tmp_path, kind, rows))
    assert [row["text"] for row in found[1:]] == [None, " ", "\t\n", "nul\0in"]
    assert [(row["problem"] or "").endswith("the text is null") for row in found] == [kind == "csv", True] + [False] * 3
    assert found[0]["text"] == (None if kind == "csv" else "")


def test_an_empty_csv_text_is_null_quoted_or_not(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,body,note\na,"",x\nb,,\nc, ,y\n')
    rows = all_rows(path, text_column="body", keep=("note",))
    null = "a.csv line {}: the text is null"
    assert [row["problem"] for row in rows] == [null.format(2), null.format(3), None]
    assert [row["note"] for row in rows] == ["x", "", "y"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 29, 30])
def test_seeking_gives_the_rest(tmp_path, kind, start):
    path = _write(tmp_path, kind, ROWS)
    everything = all_rows(path)
    assert all_rows(path, start=Cursor(0, start, start)) == everything[start:]


def test_row_groups_before_the_start_are_not_read(tmp_path):
    metadata = pq.read_metadata(_write(tmp_path, "parquet", ROWS))
    assert [_groups_from(metadata, start) for start in (0, 6, 7, 29, 30)] == [
        ([0, 1, 2, 3, 4], 0),
        ([0, 1, 2, 3, 4], 6),
        ([1, 2, 3, 4], 0),
        ([4], 1),
        ([], 0),
    ]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_batches_are_bounded_in_rows_and_in_text(tmp_path, kind):
    short = [{"id": f"d{n}", "text": "x"} for n in range(5000)]
    assert max(batch.rows.num_rows for batch in opened(_write(tmp_path, kind, short)).batches()) <= 2048
    if kind != "parquet":
        long = [{"id": f"d{n}", "text": "x" * 500_000} for n in range(30)]
        assert max(batch.rows.num_rows for batch in opened(_write(tmp_path, kind, long)).batches()) <= 9


def test_txt_is_one_text_a_line_and_ids_are_positions(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\ntwo \xff\nthree")
    rows = all_rows(tmp_path)
    assert [row["id"] for row in rows] == [f"sub/a.txt#{n}" for n in range(4)]
    assert [row["text"] for row in rows] == ["one", "", None, "three"]
    assert rows[2]["problem"] == "sub/a.txt line 3: the text is not valid UTF-8"


def test_integer_ids_become_strings(tmp_path):
    assert [r["id"] for r in all_rows(write_parquet(tmp_path / "a.parquet", {"id": [7, 8], "text": ["a", "b"]}))] == [
        "7",
        "8",
    ]
    assert [r["id"] for r in all_rows(write_jsonl(tmp_path / "a.jsonl", [{"id": 7, "text": "a"}]))] == ["7"]


def test_dictionary_and_large_strings_are_texts(tmp_path):
    table = {"id": pa.array(["a", "b"]).dictionary_encode(), "text": pa.array(["x", "y"], pa.large_string())}
    assert [(r["id"], r["text"]) for r in all_rows(write_parquet(tmp_path / "a.parquet", table))] == [
        ("a", "x"),
        ("b", "y"),
    ]


def test_jsonl_row_problems_keep_their_place(tmp_path):
    path = tmp_path / "corpus.jsonl"
    lines = [
        b'{"id": "a", "text": "good"}',
        b"",
        b'{"id": "b", "text": null}',
        b'{"id": null, "text": "x"}',
        b'{"id": "d", "text": 5}',
        b'{"id": "e", "text": "\xff"}',
        b'{"id": "f", "text": "\\ud800"}',
        b'{"id": [1], "text": "x"}',
        b'{"id": "", "text": "x"}',
        b'{"id": "i"}',
    ]
    path.write_bytes(b"\n".join(lines))
    rows = all_rows(path)
    assert [row["problem"] for row in rows] == [
        None,
        "corpus.jsonl line 3: the text is null",
        "corpus.jsonl line 4: the id is null",
        "corpus.jsonl line 5: the text is a number, not a text",
        "corpus.jsonl line 6: the line is not valid UTF-8",
        "corpus.jsonl line 7: the line is not valid UTF-8",
        "corpus.jsonl line 8: the id is a list, not a text",
        "corpus.jsonl line 9: the id is empty",
        "corpus.jsonl line 10: the text is null",
    ]
    assert [row["text"] for row in rows] == ["good"] + [None] * 8
    assert [row["id"] for row in rows[4:6]] == ["e", "f"]


def test_parquet_row_problems_keep_their_place(tmp_path):
    texts = pa.array([b"ok", None, b"\xff\xfe", b"fine"], pa.binary())
    texts = pa.StringArray.from_buffers(4, texts.buffers()[1], texts.buffers()[2], texts.buffers()[0], 1)
    rows = all_rows(write_parquet(tmp_path / "a.parquet", {"id": ["a", "b", "c", None], "text": texts}))
    assert [row["problem"] for row in rows] == [
        None,
        "a.parquet row 1: the text is null",
        "a.parquet row 2: the text is not valid UTF-8",
        "a.parquet row 3: the id is null",
    ]


def test_csv_names_the_line_a_row_begins_in(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'id,text\na,"one\ntwo"\n\n,x\nb,\xff\n')
    assert [row["problem"] for row in all_rows(path)] == [
        None,
        "a.csv line 5: the id is empty",
        "a.csv line 6: the text is not valid UTF-8",
    ]


@pytest.mark.parametrize(
    ("name", "data", "place"),
    [
        ("a.jsonl", b'{"id": 1, "text": "x"}\n{"id": 2, "te', "a.jsonl line 2"),
        ("a.jsonl", b'{"id": 1, "text": "x"}\n[1]\n', "a.jsonl line 2"),
        ("a.jsonl", b'{"id": 1, "text": "x", "n": NaN}\n', "a.jsonl line 1"),
        ("a.csv", b'id,text\n1,x\n2,"y\n', "a.csv line 3"),
        ("a.csv", b'id,text\n1,"a\nb"\n2,y,z\n', "a.csv line 4"),
        ("a.csv", b"", "no header"),
        ("a.parquet", b"PAR1 no PAR1", "a.parquet"),
    ],
)
def test_a_broken_file_refuses_the_source(tmp_path, name, data, place):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=place):
        all_rows(tmp_path / name)


def test_a_torn_parquet_page_is_a_source_error(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"id": [str(n) for n in range(5000)], "text": ["x" * 50] * 5000})
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.parquet"):
        all_rows(path)


def test_missing_columns_are_told_with_those_there_are(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", {"key": ["a"], "body": ["b"], "n": [1]})
    for options, column in (
        ({}, "text"),
        ({"text_column": "body", "id_column": "x"}, "x"),
        (
            {"text_column": "body", "keep": ("year",)},
            "year",
        ),
    ):
        with pytest.raises(SourceError, match=rf"no column {column}; its columns: key, body, n"):
            opened(path, **options)


@pytest.mark.parametrize("options", [{"text_column": "n"}, {"text_column": "text", "id_column": "score"}])
def test_columns_of_a_wrong_type_are_refused(tmp_path, options):
    with pytest.raises(SourceError, match=r"column \w+ is (int64|double)"):
        opened(write_parquet(tmp_path / "a.parquet", {"text": ["a"], "n": [1], "score": [0.5]}), **options)


def test_jsonl_is_parsed_as_json_does(tmp_path):
    values = [{"id": "1", "text": json.loads('"\\ud83d\\ude00 \\u0000"')}]
    assert all_rows(write_jsonl(tmp_path / "a.jsonl", values))[0]["text"] == "😀 \0"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
@pytest.mark.parametrize("separator", list(",;\t|"))
def test_the_header_of_a_csv_says_what_separates_its_fields(tmp_path, name, separator):
    rows = [["id", "text", "a,b;c"], ["x", "one, two; three | four", "7"], ["y", "five\tsix", "8"]]
    written = io.StringIO()
    csv.writer(written, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    data = written.getvalue().encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = all_rows(tmp_path / name, keep=("a,b;c",))
    assert [[row["id"], row["text"], str(row["a,b;c"])] for row in found] == rows[1:]
