"""Files in S3, or what speaks as S3 does. One put is atomic by itself, so there is no temporary name.

Where the store is and what it may be shown come from the environment alone (`AWS_*`): never from an address, a record
or a message. A put of a file that is written once asks the store itself to refuse where the file is there
(`If-None-Match`), so of two who write one part the first wins, and what was read once stays what it is.
"""

import functools
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO

import obstore
import pyarrow as pa
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from schemas.errors import BucketError
from schemas.files.address import bucket_and_key
from schemas.files.limits import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, RETRY_SECONDS
from schemas.files.ranges import Ranges
from schemas.files.trouble import check_environment, explained

#: A file that is bigger goes in pieces, which appear together; unless it is written once, which only one put can be.
_PIECES_FROM_BYTES = 32 << 20


class Buckets:
    """Files by their `s3://` addresses."""

    def open(self, address: str) -> pa.NativeFile:
        """A file of which only what is asked for is fetched."""
        with _told(address) as (store, key):
            size = obstore.head(store, key)["size"]

        def fetch(start: int, end: int) -> bytes:
            with _told(address) as (store, key):
                return bytes(obstore.get_range(store, key, start=start, end=end))

        return pa.PythonFile(Ranges(size, fetch), mode="r")

    def read(self, address: str) -> bytes | None:
        """All of a small file."""
        try:
            with _told(address) as (store, key):
                return bytes(obstore.get(store, key).bytes())
        except FileNotFoundError:
            return None

    @contextmanager
    def write(self, address: str, *, once: bool = False) -> Iterator[BinaryIO]:
        """By one put, at the end; until then the bytes are in memory."""
        buffer = io.BytesIO()
        yield buffer
        whole = len(buffer.getbuffer()) <= _PIECES_FROM_BYTES
        with _told(address) as (store, key):
            obstore.put(
                store, key, buffer.getvalue(), mode="create" if once else "overwrite",
                use_multipart=not (once or whole),
            )  # fmt: skip

    def remove(self, address: str) -> None:
        """Take a file away."""
        try:
            with _told(address) as (store, key):
                obstore.delete(store, key)
        except FileNotFoundError:
            return

    def remove_folder(self, address: str) -> None:
        """Take away all files below; a folder is nothing by itself."""
        with _told(address) as (store, key):
            for listed in obstore.list(store, f"{key}/"):
                obstore.delete(store, [one["path"] for one in listed])

    def names(self, address: str) -> list[str]:
        """What lies directly below."""
        with _told(address) as (store, key):
            listed = obstore.list_with_delimiter(store, f"{key}/" if key else None)
        return [
            path.rpartition("/")[2] for path in (*listed["common_prefixes"], *(o["path"] for o in listed["objects"]))
        ]


def check_bucket(folder: str) -> None:
    """Raise `BucketError` where nothing can be written below, or where a file can be written over that is there."""
    probe = f"{folder}/_runs/.probe-{secrets.token_hex(8)}"
    try:
        _put_once(probe)
        if _put_once(probe):
            raise BucketError(
                f"the store of {folder} lets a file be written over that was to be written once (it ignores "
                "If-None-Match), so two writers could lose each other's work",
                way_out="use a store with conditional puts: Amazon S3, or a newer version of your server",
            )
    finally:
        Buckets().remove(probe)


def _put_once(address: str) -> bool:
    try:
        with Buckets().write(address, once=True):
            return True
    except FileExistsError:
        return False


@functools.cache
def s3_store(bucket: str) -> S3Store:
    """The client of a bucket, as the environment describes it."""
    check_environment()
    return S3Store(
        bucket,
        client_options={
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


@contextmanager
def _told(address: str) -> Iterator[tuple[S3Store, str]]:
    """The store and the key of an address; what goes wrong there is said in words of ours."""
    bucket, key = bucket_and_key(address)
    try:
        yield s3_store(bucket), key
    except AlreadyExistsError as error:
        raise FileExistsError(f"{address} is there already") from error
    except (BaseError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileNotFoundError(f"there is no {address}") from None
        # The client's own error may quote what the server said of the request.
        raise explained(str(error), address) from None
