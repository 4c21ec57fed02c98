"""What a check found."""

from typing import Literal

from schemas.record import Record

Check = Literal["file", "rows", "duplicates", "vectors", "norms", "hashes", "sample"]


class Finding(Record):
    """One thing that is wrong: which check found it, where, and what it is."""

    check: Check
    where: str
    detail: str
