"""Folders as `datasets` leaves them, in its cache and by `save_to_disk`."""

import json

import pyarrow as pa
import pytest

from schemas.errors import SourceError
from tests.unit.source.corpora import all_rows, opened


def _stream(path, columns):
    table = pa.table(columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    return path


def test_a_dataset_folder_leaves_out_what_old_calls_of_map_left(tmp_path):
    folder = tmp_path / "corpus" / "default" / "0.0.0" / "abc123"
    for name, ids in (("corpus-train.arrow", ["a"]), ("corpus-test.arrow", ["b"]), ("cache-12ab.arrow", ["a"])):
        _stream(folder / name, {"id": ids, "text": ids})
    assert len(opened(tmp_path).files) == 3
    for name in ("dataset_info.json", "state.json"):
        (folder / name).write_text(json.dumps({"builder_name": "corpus"}))
    assert [row["id"] for row in all_rows(tmp_path)] == ["b", "a"]


def test_large_batches_come_in_bounded_ones(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["x"] * 9_000, "other": list(range(9_000))})
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)
    assert [batch.rows.num_rows for batch in opened(path).batches()] == [2048] * 4 + [808]


@pytest.mark.parametrize("data", [b"", b"not arrow at all", b"ARROW1\0\0 but no more"])
def test_what_is_no_arrow_file_is_told(tmp_path, data):
    (tmp_path / "a.arrow").write_bytes(data)
    with pytest.raises(SourceError, match=r"cannot read .*a\.arrow as Arrow"):
        opened(tmp_path / "a.arrow")


def test_a_torn_stream_is_told(tmp_path):
    path = _stream(tmp_path / "a.arrow", {"id": [str(n) for n in range(5000)], "text": ["x" * 50] * 5000})
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(SourceError, match=r"a\.arrow as Arrow"):
        all_rows(path)
