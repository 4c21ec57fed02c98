"""Whether and how the texts of a source are cut into chunks: for a new run, and again for one that is gone on with."""

import os
from importlib.util import find_spec
from pathlib import Path

from producer.chunk.chunked import Chunked
from producer.chunk.cuts import Cuts, cut_all, load_cuts
from producer.model import model_folder
from producer.source import Corpus, Source
from schemas.errors import UsageError
from schemas.run import RunRecord, SourceOptions
from schemas.spec import Spec

_NEEDED = ("regex", "semantic_text_splitter", "tokenizers")


def check_cutting(options: SourceOptions) -> None:
    """Raise `UsageError` where texts cannot be cut as asked, before any is read."""
    if options.chunk_overlap and options.chunk_tokens is None:
        raise UsageError("--chunk-overlap is of no use without --chunk-tokens", way_out="--chunk-tokens 256, say")
    if options.chunk_tokens is not None and not all(map(find_spec, _NEEDED)):
        raise UsageError("--chunk-tokens needs a splitter and a tokenizer", way_out="pip install 'vecmill[chunks]'")


def cuts_of(source: Source, options: SourceOptions, spec: Spec) -> Cuts | None:
    """Where the texts are cut; None where each is to stay whole."""
    if options.chunk_tokens is None:
        return None
    check_cutting(options)
    from producer.chunk.splitter import Splitter

    folder: Path = model_folder(spec)
    splitter = Splitter(folder, spec, tokens=options.chunk_tokens, overlap=options.chunk_overlap)
    return cut_all(source, splitter)


def as_recorded(record: RunRecord, source: Source) -> Corpus:
    """The rows that the jobs of a run are cut from: those of the source, or their chunks as they were cut at first."""
    if record.chunking is None:
        return source
    path = os.path.join(record.table, record.cuts_path)
    cuts = load_cuts(path, chunks=record.rows, digest=record.chunking.digest)
    return Chunked(source, cuts or _cut_again(record, source, path))


def _cut_again(record: RunRecord, source: Source, path: str) -> Cuts:
    cuts = cuts_of(source, record.source, record.spec)
    if cuts is None or record.chunking is None or cuts.digest != record.chunking.digest:
        raise UsageError(
            f"{record.cuts_path} in {record.table} is lost, and the texts would be cut otherwise now",
            way_out="start a new run: only what is new or changed is embedded",
        )
    cuts.save(path)
    return cuts
