"""What a store says of one of its files. Loads no client."""

from typing import NamedTuple


class StoredFile(NamedTuple):
    """One file in a store; `tag` is another one when its bytes are others, "" where that is not known."""

    address: str
    size: int
    tag: str
