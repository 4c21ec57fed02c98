"""A place in the source, between two rows, or between two chunks of one. Knows nothing of files or formats."""

from typing import Self


class Cursor(tuple[int, ...]):
    """File number, rows of that file before this place, rows (or chunks) of the whole source before this place.

    Tombstones count as rows of their file, and not as rows of the whole source. A fourth number, inside a row: how many
    of its chunks are before this place. A plain tuple, so that it is what a `SourceRange` holds.
    """

    def __new__(cls, file: int, row: int, total: int, chunk: int = 0) -> Self:
        """Three numbers between rows, four inside one."""
        return super().__new__(cls, (file, row, total, chunk) if chunk else (file, row, total))

    @property
    def file(self) -> int:
        """Which file, from 0."""
        return self[0]

    @property
    def row(self) -> int:
        """Rows of that file before this place."""
        return self[1]

    @property
    def total(self) -> int:
        """Rows of the whole source before this place; chunks where it is cut into chunks."""
        return self[2]

    @property
    def chunk(self) -> int:
        """Chunks of the row before this place."""
        return self[3] if len(self) > 3 else 0

    def plus(self, rows: int) -> "Cursor":
        """The place so many rows further on in the same file."""
        return Cursor(self.file, self.row + rows, self.total + rows)


START = Cursor(0, 0, 0)
