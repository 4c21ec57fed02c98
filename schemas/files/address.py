r"""How the place of a table is spelled: a folder, or `s3://bucket/prefix`. Every bucket's place has one spelling.

So that a worker can tell what is below an allowed root by comparing texts, a bucket's address has no empty segment,
no `.` or `..`, and none of the characters that a server or a client reads as something else (`%`, `?`, `#`, `\`).
"""

import os
import re
from pathlib import Path

from schemas.errors import UsageError

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SEGMENT = re.compile(r"[A-Za-z0-9._=-]+")


def is_remote(address: str) -> bool:
    """Whether it names a place in an object store, rightly spelled or not."""
    return _REMOTE.match(address) is not None


def normal(address: str) -> str:
    """The absolute path of a folder, or a bucket's address without a slash at its end; a `UsageError` otherwise."""
    if is_remote(address):
        bucket, key = bucket_and_key(address)
        return f"s3://{bucket}/{key}".rstrip("/")
    return str(Path(os.path.expanduser(address)).resolve())


def bucket_and_key(address: str) -> tuple[str, str]:
    """What an address names; the key is empty for the whole bucket. Raises `UsageError`."""
    scheme, _, place = address.partition("://")
    bucket, *segments = place.removesuffix("/").split("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket) or not all(map(_is_plain, segments)):
        raise UsageError(f"{shown(address)} is no place for a table", way_out=_WAY_OUT)
    return bucket, "/".join(segments)


def within(address: str, root: str) -> bool:
    """Whether a place is a root or below it; links are followed. Raises `UsageError` where one is no address."""
    place, above = normal(address), normal(root)
    if is_remote(place) or is_remote(above):
        return place == above or place.startswith(f"{above}/")
    return Path(place).is_relative_to(above)


def _is_plain(segment: str) -> bool:
    return _SEGMENT.fullmatch(segment) is not None and segment not in (".", "..")


def shown(address: str) -> str:
    """An address without what may be a password or a signature."""
    return repr(address) if not re.search(r"[@?]", address) else f"{address.partition(':')[0]}://..."


_WAY_OUT = (
    "a folder, or s3://bucket/prefix of letters, digits, '.', '_', '=' and '-'; credentials come from the environment"
)
