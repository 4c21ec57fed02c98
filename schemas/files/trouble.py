"""What to say where an object store refuses or does not answer: what is wrong, and which setting to look at.

Knows the words of stores and of their clients; repeats none of them but the store's own name for the error, since a
refusal may quote the request and its signature.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from schemas.errors import BucketAway, BucketError, VecmillError
from schemas.files.address import bucket_and_key, is_remote

#: What the client's or the store's words mean: the first that is found counts.
_MEANINGS = (
    (r"NoSuchBucket", "there is no bucket {bucket} at {endpoint}", "{missing}"),
    (r"169\.254\.|latest/api/token|redential", "there are no credentials for {bucket} at {endpoint}", "{credentials}"),
    (r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|Unauthorized|\b401\b",
     "{endpoint} does not accept the credentials for {bucket} ({code})", "{credentials}"),
    (r"AccessDenied|Forbidden|\b403\b|ermission", "{endpoint} does not allow this in {bucket} ({code})",
     "the credentials need {rights} there"),
    (r"redirect|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint",
     "the bucket {bucket} is not in the region that {endpoint} serves", "set AWS_REGION to the bucket's region"),
    (r"builder error", "{endpoint} does not answer for {bucket}", "{reach}"),
)  # fmt: skip
#: Of these it is not known that they would happen again.
_PASSING = (
    (r"error sending request|error decoding|timed out|onnect|HTTP error", "{endpoint} does not answer for {bucket}"),
    (r"\b5\d\d\b|\b429\b|SlowDown|TooManyRequests|RequestTimeout|InternalError",
     "{endpoint} fails for {bucket} ({code})"),
)  # fmt: skip
#: What says nothing of the error, and may look as if: keys, which may be named anything, how long it took, and what
#: was asked for. Where a role is asked for stays.
_BESIDE = re.compile(r"for path .*?: Error|\b[\d.]+[mµn]?s\b|https?://(?!169\.254\.|\S*latest/api/token)\S+")
#: delta-rs hands on what the store said in errors of several kinds.
_OF_STORE = re.compile(r"S3 error|object store")
#: What to look at, where a table is written.
_WRITING = {
    "missing": "create it, or check --to, AWS_ENDPOINT_URL and AWS_REGION",
    "credentials": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of producer and workers",
    "rights": "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket",
    "reach": "check AWS_ENDPOINT_URL and the network; nothing that is written is lost: vecmill resume TABLE",
}


def explained(said: str, address: str) -> BucketError:
    """The error that a person meets, from what a client of the store said; a `BucketAway` where it may pass."""
    return meant(said, {"bucket": bucket_and_key(address)[0], "endpoint": endpoint(), **_WRITING})


def meant(said: str, names: dict[str, str]) -> BucketError:
    """The same, with the names of what was asked, and of what to look at."""
    said = _BESIDE.sub("", said.partition("Debug source")[0])
    code = next(iter(re.findall(r"<Code>(\w+)</Code>", said) or re.findall(r"\b[45]\d\d [A-Z]\w+", said)), "no reason")
    for words, what, way_out in _MEANINGS:
        if re.search(words, said):
            return BucketError(what.format(**names, code=code), way_out=way_out.format(**names))
    for words, what in _PASSING:
        if re.search(words, said):
            return BucketAway(what.format(**names, code=code), way_out=names["reach"])
    return BucketError(
        "{endpoint} refuses a request for {bucket} ({code})".format(**names, code=code), way_out=names["reach"]
    )


@contextmanager
def telling(address: str) -> Iterator[None]:
    """For delta-rs, which raises an OSError for most that goes wrong in a store, and errors of its own for the rest."""
    try:
        yield
    except (FileNotFoundError, VecmillError):
        raise
    except Exception as error:
        if not is_remote(address) or not (isinstance(error, OSError) or _OF_STORE.search(str(error))):
            raise
        raise explained(str(error), address) from None


def check_environment() -> None:
    """Raise `BucketError` where the environment cannot be meant."""
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if url.startswith("http://") and os.environ.get("AWS_ALLOW_HTTP", "").lower() not in ("1", "true"):
        raise BucketError(
            f"{endpoint()} is reached without encryption", way_out="https://, or AWS_ALLOW_HTTP=true if that is meant"
        )


def endpoint() -> str:
    """Where the store is, without what may be a password."""
    parts = urlsplit(os.environ.get("AWS_ENDPOINT_URL", ""))
    return parts.netloc.rpartition("@")[2] or "Amazon S3"
