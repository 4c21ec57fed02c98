"""Which store an address of a source means, and what to say of what goes wrong there. Reads nothing.

Beside `s3://` there is `gs://`, and a key may hold any character: others have chosen it. The places of tables are
stricter (address.py).
"""

import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from obstore.exceptions import BaseError, InvalidPathError, PreconditionError
from obstore.store import GCSStore, S3Store

from schemas.errors import BucketError, SourceError
from schemas.files.address import shown
from schemas.files.bucket import s3_store
from schemas.files.limits import CONNECT_SECONDS, REQUEST_SECONDS, RETRIES, RETRY_SECONDS
from schemas.files.trouble import endpoint, meant

_ADDRESS = re.compile(r"(s3|gs)://([A-Za-z0-9][A-Za-z0-9._-]+)((?:/(?!\.{1,2}(?:/|$))[^/\0]+)*)/?")
_S3 = {
    "missing": "check the address, AWS_ENDPOINT_URL and AWS_REGION",
    "credentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment",
    "rights": "s3:GetObject and s3:ListBucket",
    "reach": "check AWS_ENDPOINT_URL and the network, and try again",
}
_GS = {
    "endpoint": "Google Cloud Storage",
    "missing": "check the address",
    "credentials": "set GOOGLE_APPLICATION_CREDENTIALS to a key file, or: gcloud auth application-default login",
    "rights": "storage.objects.get and storage.objects.list",
    "reach": "check the network, and try again",
}


def bucket_of(address: str) -> tuple[str, str, str]:
    """Scheme, bucket and key; the key is empty for a whole bucket. Raises `SourceError`."""
    parsed = _ADDRESS.fullmatch(address)
    if not address.startswith(("s3://", "gs://")):
        raise SourceError(
            f"cannot read {shown(address)}: sources are files, folders that are mounted here, s3://, gs:// and hf://datasets/",
            way_out="copy or mount it, and give the path",
        )
    if parsed is None:
        raise SourceError(
            f"{shown(address)} is no place in a store",
            way_out="s3://bucket/key or gs://bucket/key, with no empty or dotted part; credentials come from the "
            "environment",
        )
    return parsed[1], parsed[2], parsed[3].lstrip("/")


@functools.cache
def gs_store(bucket: str) -> GCSStore:
    """The client of a bucket, as the environment describes it."""
    return GCSStore(
        bucket,
        client_options={
            "timeout": timedelta(seconds=REQUEST_SECONDS),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "allow_http": os.environ.get("GOOGLE_ALLOW_HTTP", "").lower() in ("1", "true"),
        },
        retry_config={"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


@contextmanager
def told(address: str) -> Iterator[tuple[S3Store | GCSStore, str]]:
    """The store and the key of an address; what goes wrong there is said in words of ours."""
    scheme, bucket, key = bucket_of(address)
    try:
        yield (s3_store if scheme == "s3" else gs_store)(bucket), key
    except PreconditionError:
        raise
    except InvalidPathError as error:
        raise _unnamable(address, str(error)) from None
    except (BaseError, FileNotFoundError) as error:
        if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
            raise FileNotFoundError(f"there is no {address}") from None
        # The client's own error may quote what the server said of the request.
        raise _explained(str(error), scheme, bucket) from None


def _explained(said: str, scheme: str, bucket: str) -> BucketError | SourceError:
    names = {"endpoint": endpoint(), **_S3} if scheme == "s3" else _GS
    error = meant(said, {"bucket": f"{scheme}://{bucket}", **names})
    if "NoSuchBucket" in said:
        return SourceError(str(error.args[0]), way_out=error.way_out)
    return error


def _unnamable(address: str, said: str) -> SourceError:
    key = next(iter(re.findall(r'Path "([^"]*)"', said)), "a key")
    return SourceError(
        f"below {address} lies {key}: a key with an empty or dotted part, which cannot be read",
        way_out="copy it to another key, or name the files beside it",
    )
