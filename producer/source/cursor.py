"""A place in the source, between two rows. Knows nothing of files or formats."""

from typing import NamedTuple


class Cursor(NamedTuple):
    """File number, rows of that file before this place, rows of the whole source before this place.

    A plain tuple, so that it is what a `SourceRange` holds.
    """

    file: int
    row: int
    total: int

    def plus(self, rows: int) -> "Cursor":
        """The place so many rows further on in the same file."""
        return Cursor(self.file, self.row + rows, self.total + rows)


START = Cursor(0, 0, 0)
