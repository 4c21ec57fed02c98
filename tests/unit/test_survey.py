import os
import tempfile

import pyarrow as pa
import pytest

from producer import survey as surveying
from producer.survey import survey
from schemas.errors import SourceError
from tests.unit.source.corpora import opened, write_jsonl, write_parquet


def _write(tmp_path, kind, ids):
    if kind == "jsonl":
        return write_jsonl(tmp_path / "a.jsonl", [{"id": id_, "text": "x"} for id_ in ids])
    return write_parquet(tmp_path / "a.parquet", {"id": ids, "text": ["x"] * len(ids)}, row_group_size=1000)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_are_counted_and_told(tmp_path, kind):
    told = []
    path = _write(tmp_path, kind, [f"d{n}" for n in range(5000)])
    assert survey(opened(path), on_progress=told.append).rows == 5000
    assert told[-1] == 5000
    assert survey(opened(path, limit=3)).rows == 3


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_five_duplicate_ids_are_shown_with_their_counts(tmp_path, kind):
    ids = [f"d{n}" for n in range(3000)] + ["d2999"] * 2 + [f"d{n}" for n in range(6)]
    with pytest.raises(SourceError) as error:
        survey(opened(_write(tmp_path, kind, ids)))
    assert "d2999 (3 times), d0 (2 times), d1 (2 times), d2 (2 times), d3 (2 times)" in str(error.value)
    assert "d4" not in str(error.value)


def test_a_position_that_is_also_an_id_is_a_duplicate(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    write_jsonl(tmp_path / "b.jsonl", [{"id": "a.txt#0", "text": "x"}])
    with pytest.raises(SourceError, match=r"a\.txt#0"):
        survey(opened(tmp_path))


def test_null_ids_are_rows_and_no_duplicates(tmp_path):
    assert survey(opened(_write(tmp_path, "jsonl", [None, None, "a"]))).rows == 3


def test_positions_are_only_counted(tmp_path):
    (tmp_path / "a.txt").write_text("same\n" * 10)
    assert survey(opened(tmp_path)).rows == 10


def test_a_broken_line_far_down_refuses_the_source(tmp_path):
    path = _write(tmp_path, "jsonl", list(range(5000)))
    with path.open("a") as stream:
        stream.write("{broken")
    with pytest.raises(SourceError, match="line 5001"):
        survey(opened(path))


def test_no_rows_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="no rows"):
        survey(opened(write_parquet(tmp_path / "a.parquet", {"text": pa.array([], pa.string())})))


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    os.makedirs(tmp_path / "tmp")
    survey(opened(_write(tmp_path, "parquet", ["a", "b"])))
    assert os.listdir(tmp_path / "tmp") == []


def test_where_memory_runs_out_the_pass_is_made_again_with_more(tmp_path, monkeypatch):
    ids = [f"id-{at}" for at in range(300_000)]
    path = _write(tmp_path, "parquet", [*ids, ids[7]])
    asked = []
    ask = surveying._ask
    monkeypatch.setattr(surveying, "_MEMORY_LIMITS", ("1MB", "1GB"))
    monkeypatch.setattr(surveying, "_ask", lambda *given: asked.append(given[-1]) or ask(*given))
    with pytest.raises(SourceError, match=r"id-7 \(2 times\)"):
        survey(opened(path))
    assert asked == ["1MB", "1GB", "1GB"]
