"""Where texts come from: files, folders, globs and Delta tables, as one sequence of rows. Knows no queue."""

from producer.source.batch import Corpus, Rows, SourceBatch
from producer.source.cursor import START, Cursor
from producer.source.delta import pinned, pinned_as
from producer.source.source import Source, open_source

__all__ = ["START", "Corpus", "Cursor", "Rows", "Source", "SourceBatch", "open_source", "pinned", "pinned_as"]
