"""Laws of all formats: the same rows whatever they lie in, and reading from any place gives the rest."""

import csv
import gzip
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.source import Cursor
from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened

ROWS = [
    {"id": f"d{n}", "text": f'text {n}\nof two lines, "and" 漢字 😀', "year": 1900 + n, "lang": "de" if n % 3 else None}
    for n in range(30)
]


def _jsonl(path: Path, rows: list[dict]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _csv(path: Path, rows: list[dict]) -> bytes:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path.read_bytes()


def _packed(data: bytes, suffix: str) -> bytes:
    """In two members, as tools that append leave it."""
    halves = data[: len(data) // 2], data[len(data) // 2 :]
    pack = gzip.compress if suffix == ".gz" else lambda half: pa.compress(half, codec="zstd", asbytes=True)
    return b"".join(map(pack, halves))


def _arrow(path: Path, rows: list[dict], opener) -> None:
    table = pa.Table.from_pylist(rows)
    with opener(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=7)


def write(folder: Path, kind: str, rows: list[dict]) -> Path:
    """The rows in a format; gives what to name on the command line."""
    path = folder / f"corpus{kind}"
    first, *rest = kind.removeprefix(".").split(".")
    if first in ("jsonl", "csv"):
        data = (_jsonl if first == "jsonl" else _csv)(path, rows)
        path.write_bytes(_packed(data, f".{rest[0]}") if rest else data)
    elif kind == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    elif kind == ".arrow":
        _arrow(path, rows, pa.ipc.new_stream)
    elif kind == ".indexed.arrow":
        _arrow(path, rows, pa.ipc.new_file)
    else:
        path = folder / "table"
        for n, some in enumerate((rows[:13], rows[13:])):
            write_deltalake(path, pa.Table.from_pylist(some), mode="append", partition_by=["lang"] if n == 0 else None)
    return path


KINDS = [
    ".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz", ".csv.zst", ".arrow", ".indexed.arrow", "delta",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_rows_come_out_as_they_went_in(tmp_path, kind):
    rows = all_rows(write(tmp_path, kind, ROWS), keep=("year", "lang"))
    wanted = [row | {"lang": row["lang"] or ""} for row in ROWS] if kind.startswith(".csv") else ROWS
    found = [{name: row[name] for name in ROWS[0]} for row in rows]
    assert (sorted(found, key=lambda row: row["year"]) if kind == "delta" else found) == wanted
    assert {row["problem"] for row in rows} == {None}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_reading_from_any_place_gives_the_rest(tmp_path, kind, data):
    folder = tmp_path / "once"
    path = folder / ("table" if kind == "delta" else f"corpus{kind}")
    if not path.exists():
        folder.mkdir()
        assert write(folder, kind, ROWS) == path
    limit = data.draw(st.one_of(st.none(), st.integers(1, 40)))
    source = opened(path, keep=("year",), limit=limit)
    batches = list(source.batches())
    everything = [row for batch in batches for row in batch.rows.to_pylist()]
    assert len(everything) == min(30, limit or 30)
    assert [id_ for ids in source.ids() for id_ in ids.to_pylist()] == [row["id"] for row in everything]
    batch = data.draw(st.sampled_from(batches))
    start = batch.after(data.draw(st.integers(1, batch.rows.num_rows)))
    assert all_rows(path, keep=("year",), limit=limit, start=start) == everything[start.total :]


@pytest.mark.parametrize("kind", KINDS)
def test_positions_are_ids_where_there_are_none(tmp_path, kind):
    path = write(tmp_path, kind, [{"text": row["text"], "lang": row["lang"]} for row in ROWS])
    rows = all_rows(path)
    assert len({row["id"] for row in rows}) == 30
    assert [id_ for ids in opened(path).ids() for id_ in ids.to_pylist()] == [row["id"] for row in rows]
    if kind != "delta":
        assert rows[7]["id"] == f"{path.name}#7"
        assert all_rows(path, start=Cursor(0, 29, 29)) == rows[29:]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_a_torn_archive_names_file_and_line(tmp_path, kind, suffix):
    path = tmp_path / f"corpus.{kind}{suffix}"
    lines = {"jsonl": '{{"id": {0}, "text": "{0}"}}', "csv": "{0},{0}", "txt": "{0}"}[kind]
    head = "id,text\n" if kind == "csv" else ""
    data = (head + "".join(lines.format(n) + "\n" for n in range(5_000))).encode()
    path.write_bytes(_packed(data, suffix)[:-9])
    with pytest.raises(SourceError, match=rf"corpus\.{kind}\{suffix} line (\d{{4}}) cannot be unpacked") as error:
        all_rows(path)
    assert 2_400 < int(re.search(r"line (\d+)", str(error.value))[1]) <= 5_002
    path.write_bytes(data)
    with pytest.raises(SourceError, match="line 1 cannot be unpacked"):
        all_rows(path)


def test_a_damaged_gzip_is_found_by_its_checksum(tmp_path):
    data = bytearray(gzip.compress(b"".join(b"line %d\n" % n for n in range(5_000))))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.txt.gz").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.txt\.gz line \d+ cannot be unpacked"):
        all_rows(tmp_path / "a.txt.gz")


def test_packed_files_are_found_in_folders_and_told_by_format(tmp_path):
    write(tmp_path, ".jsonl.gz", ROWS)
    (tmp_path / "corpus.parquet.gz").write_bytes(b"nobody packs these")
    assert [file.name for file in opened(tmp_path).files] == ["corpus.jsonl.gz"]
    (tmp_path / "dump.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [row["text"] for row in all_rows(tmp_path / "dump.gz", format="txt")] == ["one", "two"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt", "a.txt.gz"])
def test_utf16_is_told(tmp_path, name):
    data = 'id,text\n1,"x"\n'.encode("utf-16")
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pytest.raises(SourceError, match=rf"{name} is UTF-16"):
        all_rows(tmp_path / name)
