"""Embedding a sample of the table's rows again. Knows the table and the source.

The encoder is given, and what counts as equal.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from producer.source import open_source
from producer.table.keys import rows_in
from producer.table.log import LiveFile
from producer.verify.compare import Compare
from producer.verify.finding import Finding
from schemas.arrow import is_chunked
from schemas.errors import SourceError
from schemas.files import opened
from schemas.run import RunRecord, SourceOptions
from schemas.store import Vectors
from schemas.text import Span, text_hash

Encode = Callable[[list[str]], Vectors]

_SEED = 7
_ENCODED_AT_ONCE = 256


def check_sample(
    files: list[LiveFile], count: int, encode: Encode, *, records: Sequence[RunRecord], compare: Compare
) -> Iterator[Finding]:
    """The rows of a random sample whose vectors are not what the model gives for their texts."""
    rows = _sample(files, count)
    if len(rows) == 0:
        return
    if "text" in rows.column_names:
        texts: dict[int, str] = dict(enumerate(rows.column("text").to_pylist()))
    elif records:
        texts = _texts_of_sources(rows, records)
    else:
        yield Finding(check="sample", where="_runs", detail="neither a text column nor the run's record: not compared")
        return
    yield from _text_findings(rows, texts, may_lack=_may_lack(records))
    yield from _vector_findings(rows, texts, encode, compare)


def _sample(files: list[LiveFile], count: int) -> pa.Table:
    """Random rows of all files, the same at every call; only the files that have any of them are read."""
    sizes = np.array([rows_in(file.path) for file in files], np.int64)
    total = int(sizes.sum())
    picked = np.sort(np.random.default_rng(_SEED).choice(total, min(count, total), replace=False))
    tables = []
    for file, first, size in zip(files, np.cumsum(sizes) - sizes, sizes, strict=True):
        wanted = picked[(picked >= first) & (picked < first + size)] - first
        if len(wanted):
            tables.append(_rows(file, wanted))
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})


def _rows(file: LiveFile, wanted: npt.NDArray[np.int64]) -> pa.Table:
    with opened(file.path) as stream, pq.ParquetFile(stream) as parquet:
        names = [
            name
            for name in ("id", "chunk", "text", "start", "end", "text_hash", "embedding")
            if name in parquet.schema_arrow.names
        ]
        return parquet.read(names).take(pa.array(wanted))


def _texts_of_sources(rows: pa.Table, records: Sequence[RunRecord]) -> dict[int, str]:
    """The texts of the sampled rows, found by their ids: in the source of the latest run, else in those before it.

    An older source may be gone, or hold other columns by now; then its rows are not compared.
    """
    found: dict[int, str] = {}
    for number, source in enumerate(dict.fromkeys(record.source for record in records)):
        wanted = _wanted(rows, found)
        if not wanted:
            break
        try:
            found.update(_texts_of_source(wanted, source))
        except SourceError:
            if number == 0:
                raise
    return found


def _wanted(rows: pa.Table, found: Collection[int]) -> dict[str, dict[int, Span | None]]:
    """By id, the rows that have no text yet, and where theirs lies in the text of the source: None where it is all."""
    wanted: dict[str, dict[int, Span | None]] = defaultdict(dict)
    spans: Iterable[Span | None] = repeat(None)
    if is_chunked(rows.schema):
        spans = map(Span, rows.column("start").to_pylist(), rows.column("end").to_pylist())
    for index, (id_, span) in enumerate(zip(rows.column("id").to_pylist(), spans, strict=False)):
        if index not in found:
            wanted[id_][index] = span
    return wanted


def _texts_of_source(wanted: dict[str, dict[int, Span | None]], source: SourceOptions) -> dict[int, str]:
    """The texts that a source has for some ids; one pass, stopped when all are found."""
    found: dict[int, str] = {}
    count = sum(map(len, wanted.values()))
    for batch in open_source(source).batches():
        for id_, text in zip(batch.rows.column("id").to_pylist(), batch.rows.column("text").to_pylist(), strict=True):
            for index, span in wanted.get(id_, {}).items() if text is not None else ():
                found[index] = text if span is None else text[span.start : span.end]
        if len(found) == count:
            break
    return found


def _may_lack(records: Sequence[RunRecord]) -> bool:
    """Whether the latest run left rows in place that its source did not have."""
    return bool(records) and records[0].mode == "upsert" and records[0].step is not None


def _text_findings(rows: pa.Table, texts: dict[int, str], *, may_lack: bool) -> Iterator[Finding]:
    """Rows whose text is gone or is another one now; these are left out of the comparison.

    After an upsert the table may hold rows that its sources no longer have.
    """
    hashes = rows.column("text_hash").to_pylist()
    for index, id_ in enumerate(rows.column("id").to_pylist()):
        if index not in texts:
            if not may_lack:
                yield Finding(check="sample", where=id_, detail="the row is no longer in the source")
        elif text_hash(texts[index]) != hashes[index]:
            del texts[index]
            yield Finding(check="sample", where=id_, detail="its text is not the one that was embedded")


def _vector_findings(rows: pa.Table, texts: dict[int, str], encode: Encode, compare: Compare) -> Iterator[Finding]:
    ids = rows.column("id").to_pylist()
    indices = sorted(texts)
    for first in range(0, len(indices), _ENCODED_AT_ONCE):
        some = indices[first : first + _ENCODED_AT_ONCE]
        there = rows.take(pa.array(some)).column("embedding")
        for row, detail in compare(there, encode([texts[index] for index in some])):
            yield Finding(check="sample", where=ids[some[row]], detail=detail)
