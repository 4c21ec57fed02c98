"""A source whose rows are the chunks of another's rows; a place in it may be inside a text.

Numbers of the whole source count chunks here, so that plans, jobs and commits need not know which they are about.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from producer.chunk.cuts import Block, Cuts
from producer.source import START, Cursor, Source, SourceBatch
from schemas.arrow import kept_fields, payload_schema

_BATCH_ROWS = 2_048


class Chunked:
    """The chunks of a source, where its texts were cut."""

    def __init__(self, source: Source, cuts: Cuts) -> None:
        self._source = source
        self._cuts = cuts
        self.schema: pa.Schema = payload_schema(kept_fields(source.schema), chunked=True)

    def batches(self, start: Cursor = START) -> Iterator[SourceBatch]:
        """The chunks from a place on, in bounded batches."""
        ahead = _Ahead(self._cuts.blocks(start.total))
        total, chunk = start.total, start.chunk
        for batch in self._rows(start):
            block = ahead.of_rows(batch.rows.num_rows, inside=chunk > 0)
            start = Cursor(batch.start.file, batch.start.row, total, chunk)
            yield from self._cut(batch.rows, start, _numbers(batch), block)
            total, chunk = total + len(block), 0

    def tombstones(self) -> Iterator[pa.Array]:
        """Those of the source: a tombstone takes all chunks of its row away."""
        return self._source.tombstones()

    def _cut(
        self, rows: pa.RecordBatch, start: Cursor, numbers: npt.NDArray[np.int64], block: Block
    ) -> Iterator[SourceBatch]:
        """The chunks of some rows with their numbers in the file; the first row may begin inside its text."""
        texts = rows.column("text").to_pylist()
        first_of_row = block[:, 0] == 0
        row = np.cumsum(first_of_row) - int(start.chunk == 0)
        last_of_row = np.append(first_of_row[1:], True)
        ends = np.column_stack([numbers[row] + last_of_row, np.where(last_of_row, 0, block[:, 0] + 1)])
        for at in range(0, len(block), _BATCH_ROWS):
            piece = slice(at, at + _BATCH_ROWS)
            place = Cursor(start.file, int(numbers[row[at]]), start.total + at, int(block[at, 0]))
            yield SourceBatch(self._pieces(rows, texts, row[piece], block[piece]), place, ends=ends[piece])

    def _pieces(
        self, rows: pa.RecordBatch, texts: list[str | None], row: npt.NDArray[np.int64], block: Block
    ) -> pa.RecordBatch:
        pieces = [
            None if (text := texts[at]) is None else text[start:end]
            for at, (_, start, end) in zip(row.tolist(), block.tolist(), strict=True)
        ]
        taken = rows.take(pa.array(row))
        ours = {
            "chunk": pa.array(np.ascontiguousarray(block[:, 0])),
            "text": pa.array(pieces, pa.string()),
            "start": pa.array(np.ascontiguousarray(block[:, 1])),
            "end": pa.array(np.ascontiguousarray(block[:, 2])),
        }
        columns = [ours[name] if name in ours else taken.column(name) for name in self.schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _rows(self, start: Cursor) -> Iterator[SourceBatch]:
        """The source's rows from the one on that a place is in; with a limit, they are counted from the beginning."""
        if self._source.limit is None:
            yield from self._source.batches(Cursor(start.file, start.row, 0))
            return
        for batch in self._source.batches():
            behind = (batch.start.file, batch.start.row + batch.rows.num_rows)
            if behind[0] < start.file or (behind[0] == start.file and behind[1] <= start.row):
                continue
            skip = max(start.row - batch.start.row, 0) if batch.start.file == start.file else 0
            yield SourceBatch(batch.rows.slice(skip), batch.start.plus(skip))


def _numbers(batch: SourceBatch) -> npt.NDArray[np.int64]:
    """The row numbers of its rows in their file."""
    if batch.ends is None:
        return batch.start.row + np.arange(batch.rows.num_rows)
    return batch.ends[:, 0] - 1


class _Ahead:
    """Chunks read ahead, handed out by whole rows."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self._held: Block = np.empty((0, 3), np.int32)

    def of_rows(self, rows: int, *, inside: bool) -> Block:
        """The chunks of the next rows; `inside`: the first of them has lost its first chunks."""
        # What comes after the rows begins with the first chunk of one more.
        wanted = rows + (0 if inside else 1)
        while len(firsts := np.flatnonzero(self._held[:, 0] == 0)) < wanted:
            block = next(self._blocks, None)
            if block is None:
                firsts = np.append(firsts, len(self._held))
                break
            self._held = np.concatenate([self._held, block])
        end = int(firsts[wanted - 1])
        taken, self._held = self._held[:end], self._held[end:]
        return taken
