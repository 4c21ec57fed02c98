"""Where the texts of a source are cut, kept in one small file: texts are measured once a run, and never otherwise.

A Parquet file of a row per chunk, in order: its number in its text, and the characters where it begins and ends. So
reading can begin at any chunk, and a library that would cut otherwise next year changes no run.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.source import Rows
from schemas.files import opened, written
from schemas.text import Span

_SCHEMA = pa.schema([(name, pa.int32()) for name in ("chunk", "start", "end")])
_GROUP_ROWS = 65_536
_DIGEST_KEY = b"vecmill.cuts"

#: Three numbers a chunk, [n, 3].
Block = npt.NDArray[np.int32]


class Splits(Protocol):
    """What cuts texts."""

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """The chunks of each text, at least one."""


class Cuts:
    """The file at a path. `owner` is kept as long as the file is needed: a temporary file goes with it."""

    def __init__(self, path: str, owner: object = None) -> None:
        self._path = path
        self._owner = owner
        with opened(path) as stream:
            metadata = pq.read_metadata(stream)
        self.chunks: int = metadata.num_rows
        self.digest = (metadata.metadata or {}).get(_DIGEST_KEY, b"").decode()

    def blocks(self, first: int) -> Iterator[Block]:
        """The chunks from number `first` on."""
        with opened(self._path) as stream, pq.ParquetFile(stream) as parquet:
            groups = [group for group in range(parquet.num_row_groups) if (group + 1) * _GROUP_ROWS > first]
            skip = first - groups[0] * _GROUP_ROWS if groups else 0
            for batch in parquet.iter_batches(_GROUP_ROWS, row_groups=groups):
                yield np.column_stack([column.to_numpy() for column in batch.columns])[skip:]
                skip = 0

    def save(self, path: str) -> None:
        """Keep them, whole or not at all."""
        with written(path) as target, open(self._path, "rb") as present:
            shutil.copyfileobj(present, target)


def cut_all(source: Rows, splitter: Splits) -> Cuts:
    """Measure every text of a source; a row that cannot be embedded is one chunk of no characters."""
    file = tempfile.NamedTemporaryFile(prefix="vecmill-cuts-", suffix=".parquet")  # noqa: SIM115 - the Cuts keep it
    digest = hashlib.blake2b(digest_size=16)
    options = {"compression": "zstd", "use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"}
    waiting, held = [np.empty((0, 3), np.int32)], 0
    with pq.ParquetWriter(file.name, _SCHEMA, **options) as writer:
        for batch in source.batches():
            block = _block(batch.rows.column("text").to_pylist(), splitter)
            digest.update(block.tobytes())
            waiting, held = [*waiting, block], held + len(block)
            while held >= _GROUP_ROWS:
                whole = np.concatenate(waiting)
                _write(writer, whole[:_GROUP_ROWS])
                waiting, held = [whole[_GROUP_ROWS:]], held - _GROUP_ROWS
        _write(writer, np.concatenate(waiting))
        writer.add_key_value_metadata({_DIGEST_KEY: digest.hexdigest()})
    return Cuts(file.name, file)


def load_cuts(path: str, *, chunks: int, digest: str) -> Cuts | None:
    """What was kept; None where it has gone or is not what the record speaks of."""
    try:
        cuts = Cuts(path)
    except (pa.ArrowException, OSError):
        return None
    return cuts if (cuts.chunks, cuts.digest) == (chunks, digest) else None


def _block(texts: list[str | None], splitter: Splits) -> Block:
    found = iter(splitter.spans([text for text in texts if text is not None]))
    rows: list[tuple[int, int, int]] = []
    for text in texts:
        spans = [(0, 0)] if text is None else next(found)
        rows += [(chunk, start, end) for chunk, (start, end) in enumerate(spans)]
    return np.array(rows, np.int32).reshape(-1, 3)


def _write(writer: pq.ParquetWriter, block: Block) -> None:
    if len(block):
        columns = [pa.array(np.ascontiguousarray(block[:, place])) for place in range(3)]
        writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=_GROUP_ROWS)
