"""Whatever a source file holds, reading it gives rows or a `SourceError` that shows none of its texts."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened
from tests.unit.source.test_every_format import ROWS, write
from tests.unit.test_message import anything

pytestmark = pytest.mark.fuzz

KINDS = [".jsonl", ".csv", ".jsonl.gz", ".csv.zst", ".parquet", ".arrow"]
SECRET = "secret words"
ASKED: list[dict[str, Any]] = [{}, {"keep": ("year", "lang")}, {"text_column": "{lang}: {text}", "keep": ("id.x",)}]
repeated = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings.default.max_examples // 2
)


def read(path: Path, options: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The rows as they would be embedded, or None for what is refused; any other end fails the test."""
    try:
        rows = all_rows(path, **options)
        ids = [one for some in opened(path, **options).ids() for one in some.to_pylist()]
    except SourceError as error:
        refusal = str(error)
    else:
        assert ids == [row["id"] for row in rows]
        for row in rows:
            assert (row["text"] is None) == (row["problem"] is not None)
            assert SECRET not in (row["problem"] or "")
        return rows
    assert SECRET not in refusal
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    rows = [{**row, "text": f"{row['text']} {SECRET}"} for row in ROWS]
    return {kind: write(folder, kind, rows).read_bytes() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@repeated
@given(
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4),
    cut=st.none() | st.integers(0, 2**16),
    options=st.sampled_from(ASKED),
)
def test_wrong_and_missing_bytes(
    tmp_path: Path, whole: dict[str, bytes], kind: str, changes: Any, cut: Any, options: Any
) -> None:
    data = bytearray(whole[kind])
    for at, byte in changes:
        data[at % len(data)] = byte
    path = tmp_path / f"corpus{kind}"
    path.write_bytes(data if cut is None else data[: cut % len(data)])
    read(path, options)


@pytest.mark.parametrize("kind", [".txt", *KINDS])
@repeated
@given(data=st.binary(max_size=200))
@example(data=b"\xff,\xfe\n1,2\n")
@example(data=b"id,text\n1,\x00\n")
@example(data=b"id,text,text\n1,2,3\n")
@example(data=b"[" * 100_000)
@example(data=b'{"text": ' + b"1" * 5000 + b"}\n")
@example(data=b'{"text": 1e999}\n')
@example(data=b'{"te\xffxt": "x"}\n{"id": 1, "text": "a"}\n')
def test_garbage(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / f"corpus{kind}"
    path.write_bytes(data)
    for options in ASKED if kind != ".txt" else [{}]:
        read(path, options)


@repeated
@given(
    rows=st.lists(st.fixed_dictionaries({}, optional={name: anything for name in ("id", "text", "year", "lang")})),
    options=st.sampled_from([*ASKED, {"keep": ("year.x", "lang")}, {"text_column": "lang.text"}]),
)
@example(rows=[{"text": SECRET, "year": SECRET}, {"text": "a", "year": 1}], options=ASKED[1])
@example(rows=[{"text": SECRET, "year": [SECRET]}, {"text": "a", "year": SECRET}], options=ASKED[1])
@example(rows=[{"text": SECRET, "year": 2**70}], options=ASKED[1])
def test_values_of_every_type(tmp_path: Path, rows: list[dict[str, Any]], options: Any) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(path, options)
    assert found is None or len(found) == len(rows)


@repeated
@given(rows=st.lists(st.lists(st.text(max_size=6) | st.just(SECRET), min_size=1, max_size=4), max_size=5))
def test_any_csv(tmp_path: Path, rows: list[list[str]]) -> None:
    path = tmp_path / "corpus.csv"
    lines = ["id,text,year", *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass", newline="")
    read(path, ASKED[0])
    read(path, {"keep": ("year",)})


@pytest.mark.parametrize("line", [SECRET, f'"{SECRET}"', f'["{SECRET}"]', f'{{"text": "{SECRET}', f"{{{SECRET}: 1}}"])
def test_a_broken_line_is_not_shown(tmp_path: Path, line: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(f'{{"id": "a", "text": "b"}}\n{line}\n')
    with pytest.raises(SourceError, match=r"line 2 (is broken JSON|begins an array)") as refusal:
        all_rows(path)
    assert SECRET not in str(refusal.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", [".jsonl", ".csv", ".txt", ".parquet", ".arrow", ".jsonl.gz"])
@pytest.mark.parametrize("named", ["corpus{}", "", "*"])
def test_what_is_no_file_is_named_and_not_read(tmp_path: Path, kind: str, named: str) -> None:
    os.mkfifo(tmp_path / f"corpus{kind}")
    with pytest.raises(SourceError, match="is a named pipe, not a file"):
        opened(tmp_path / named.format(kind))
