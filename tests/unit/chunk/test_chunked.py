"""A source of chunks is a source: the same rows from any place on, whatever its rows and batches."""

import json

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.chunk import cuts as cutting
from producer.chunk.chunked import Chunked
from producer.chunk.cuts import cut_all, load_cuts
from producer.jobs import JobLimits, cut
from producer.source import START, Cursor
from schemas.text import Span
from tests.unit.source.corpora import opened

FILES = st.lists(
    st.lists(st.one_of(st.none(), st.text("aé漢 ", max_size=30)), min_size=1, max_size=8), min_size=1, max_size=3
)


class ByLetters:
    """Pieces of so many characters."""

    def __init__(self, size: int) -> None:
        self.size = size

    def spans(self, texts):
        return [
            [Span(at, min(at + self.size, len(text))) for at in range(0, len(text), self.size)] or [Span(0, 0)]
            for text in texts
        ]


def chunked(folder, files, *, size=4, limit=None):
    for number, texts in enumerate(files):
        lines = [json.dumps({"id": f"{number}-{at}", "text": text, "n": at}) for at, text in enumerate(texts)]
        (folder / f"{number}.jsonl").write_text("".join(line + "\n" for line in lines))
    source = opened(*(folder / f"{number}.jsonl" for number in range(len(files))), keep=("n",), limit=limit)
    return Chunked(source, cut_all(source, ByLetters(size)))


def rows_of(rows, start=START):
    return [row for batch in rows.batches(start) for row in batch.rows.to_pylist()]


law = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@law
@given(files=FILES, size=st.integers(1, 9), limit=st.one_of(st.none(), st.integers(1, 12)), data=st.data())
def test_jobs_of_chunks_are_the_texts_and_begin_anywhere(tmp_path, monkeypatch, files, size, limit, data):
    monkeypatch.setattr(cutting, "_GROUP_ROWS", 5)
    rows = chunked(tmp_path, files, size=size, limit=limit)
    texts = [(f"{n}-{at}", at, text) for n, some in enumerate(files) for at, text in enumerate(some)][:limit]
    wanted = [
        (id_, kept, chunk, start, end, None if text is None else text[start:end])
        for id_, kept, text in texts
        for chunk, (start, end) in enumerate([(0, 0)] if text is None else ByLetters(size).spans([text])[0])
    ]
    found = rows_of(rows)
    assert [tuple(row[name] for name in ("id", "n", "chunk", "start", "end", "text")) for row in found] == wanted
    jobs = list(cut(rows, limits=JobLimits(rows=data.draw(st.integers(1, 6)), text_bytes=40)))
    assert jobs[-1].source.end[2] == len(wanted)
    for job in jobs:
        start = Cursor(*job.source.start)
        assert rows_of(rows, start) == found[start.total :]
        assert job.rows.to_pylist() == found[start.total : job.source.end[2]]


def test_a_text_of_many_chunks_comes_in_bounded_batches_and_jobs_end_inside_it(tmp_path):
    rows = chunked(tmp_path, [["a" * 20_000, "b"]])
    assert [batch.rows.num_rows for batch in rows.batches()] == [2048, 2048, 905]
    ends = [job.source.end for job in cut(rows, limits=JobLimits(rows=2_000))]
    assert ends == [(0, 0, 2_000, 2_000), (0, 0, 4_000, 4_000), (0, 2, 5_001)]


def test_kept_cuts_are_the_same_and_others_are_told(tmp_path):
    rows = chunked(tmp_path, [["abcdefghij", None]])
    cuts, path = rows._cuts, str(tmp_path / "kept.cuts")
    cuts.save(path)
    kept = load_cuts(path, chunks=cuts.chunks, digest=cuts.digest)
    assert np.array_equal(np.concatenate(list(kept.blocks(0))), np.concatenate(list(cuts.blocks(0))))
    assert load_cuts(path, chunks=cuts.chunks, digest="other") is None
    assert load_cuts(str(tmp_path / "none"), chunks=1, digest="") is None
    (tmp_path / "kept.cuts").write_bytes(b"torn")
    assert load_cuts(path, chunks=cuts.chunks, digest=cuts.digest) is None
