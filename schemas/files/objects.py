"""What others keep in object stores, to read: `s3://bucket/key` and `gs://bucket/key`, whatever a key is made of.

A file is read by ranges, each on the condition that it is still the file that was found: of one that is written over
meanwhile no reader sees half of each. Where stores are and what they may be shown come from the environment alone.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import PreconditionError

from schemas.errors import SourceError
from schemas.files.client import told
from schemas.files.ranges import Ranges
from schemas.files.stored import StoredFile

if TYPE_CHECKING:
    from obstore import GetOptions


def found(address: str) -> StoredFile | None:
    """The file of this address; None where there is none."""
    try:
        with told(address) as (store, key):
            facts = obstore.head(store, key) if key else None
    except FileNotFoundError:
        return None
    return None if facts is None else StoredFile(address, facts["size"], facts["e_tag"] or "")


def below(folder: str) -> Iterator[StoredFile]:
    """All files below a folder, in the order of their keys."""
    bucket = "/".join(folder.split("/")[:3])
    with told(folder) as (store, key):
        for listed in obstore.list(store, f"{key}/" if key else None):
            for one in listed:
                yield StoredFile(f"{bucket}/{one['path']}", one["size"], one["e_tag"] or "")


def stream_of(file: StoredFile) -> Ranges:
    """The bytes of a file; a SourceError where it is another one by then."""

    def fetch(start: int, end: int) -> bytes:
        options: GetOptions = {"range": (start, end)}
        if file.tag:
            options["if_match"] = file.tag
        try:
            with told(file.address) as (store, key):
                return bytes(obstore.get(store, key, options=options).bytes())
        except (FileNotFoundError, PreconditionError):
            raise SourceError(
                f"{file.address} is gone, or another one than was found",
                way_out="bring it back as it was, or start a new run",
            ) from None

    return Ranges(file.size, fetch)
