"""Which files a source is, and in which order."""

import pytest

from producer.source import Cursor
from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened, write_jsonl, write_parquet


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "b" / "_old").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("1\n2\n")
    write_jsonl(tmp_path / "b" / "c.jsonl", [{"id": "x", "text": "3"}, {"id": "y", "text": "4"}])
    write_parquet(tmp_path / "d.parquet", {"id": ["z"], "text": ["5"]})
    for hidden in ("_e.txt", ".f.txt", "README.md", "b/_old/g.txt"):
        (tmp_path / hidden).write_text("hidden")
    return tmp_path


def test_a_folder_is_its_known_files_sorted(corpus):
    assert [file.name for file in opened(corpus).files] == ["a.txt", "b/c.jsonl", "d.parquet"]
    assert [row["id"] for row in all_rows(corpus)] == ["a.txt#0", "a.txt#1", "x", "y", "z"]


def test_positions_and_seeking_go_over_files(corpus):
    source = opened(corpus)
    assert [batch.start for batch in source.batches()] == [(0, 0, 0), (1, 0, 2), (2, 0, 4)]
    for start in Cursor(0, 2, 2), Cursor(1, 0, 2), Cursor(1, 1, 3):
        texts = [text for batch in source.batches(start) for text in batch.rows.column("text").to_pylist()]
        assert texts == ["1", "2", "3", "4", "5"][start.total :]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 9])
def test_limit_is_the_first_rows(corpus, limit):
    everything = all_rows(corpus)
    assert all_rows(corpus, limit=limit) == everything[:limit]
    assert all(batch.rows.num_rows for batch in opened(corpus, limit=limit).batches())
    assert sum(map(len, opened(corpus, limit=limit).ids())) == min(limit, 5)


def test_globs(corpus):
    assert [file.name for file in opened(corpus / "*.txt").files] == ["a.txt"]
    assert [file.name for file in opened(corpus / "**" / "*.jsonl").files] == ["b/c.jsonl"]
    with pytest.raises(SourceError, match="README"):
        opened(corpus / "*.md")


def test_a_format_given_wins_over_the_extension(corpus):
    assert all_rows(corpus / "README.md", format="txt")[0]["text"] == "hidden"
    assert [file.name for file in opened(corpus, format="parquet").files] == ["d.parquet"]


@pytest.mark.parametrize("path", ["nothing", "no*.txt", "https://host/x.parquet", "s3://bucket//x", "gs://b"])
def test_nothing_to_read_is_an_error(tmp_path, path):
    with pytest.raises(SourceError):
        opened(path if "://" in path else tmp_path / path)


def test_empty_files_only_are_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n\n")
    with pytest.raises(SourceError, match="no rows"):
        opened(tmp_path)


def test_a_file_given_twice_is_refused(corpus):
    with pytest.raises(SourceError, match="twice"):
        opened(corpus, corpus / "a.txt")


def test_colliding_names_are_refused_where_they_make_ids(tmp_path):
    for folder in "x", "y":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("one\n")
        write_jsonl(tmp_path / folder / "b.jsonl", [{"id": folder, "text": "t"}])
    with pytest.raises(SourceError, match=r"a\.txt#0"):
        list(opened(tmp_path / "x", tmp_path / "y").batches())
    both = opened(tmp_path / "x" / "b.jsonl", tmp_path / "y" / "b.jsonl")
    assert sum(batch.rows.num_rows for batch in both.batches()) == 2


def test_a_source_that_shrank_is_told(corpus):
    with pytest.raises(SourceError, match="changed"):
        list(opened(corpus).batches(Cursor(3, 0, 5)))
