"""Where texts come from: files, folders and globs, read as one sequence of rows. Knows no table and no queue."""

from producer.source.cursor import START, Cursor
from producer.source.source import Rows, Source, SourceBatch, open_source

__all__ = ["START", "Cursor", "Rows", "Source", "SourceBatch", "open_source"]
