"""What a store's client said, in our words: what may pass is told from what a person must mend."""

import pytest

from schemas.errors import BucketAway, BucketError
from schemas.files.trouble import explained, telling

URL = "http://127.0.0.1:403/bucket/403/redirect/part-500.parquet"
SAID = "Generic S3 error: Error performing PUT {url} in 403.500ms, after 5 retries, retry_timeout: 60s  - {what}"
STATUS = "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code></Error>"


def kind(what: str, url: str = URL) -> type[BucketError]:
    debug = '\n\nDebug source:\nRedirect { code: "AccessDenied", status: 503 }'
    return type(explained(SAID.format(url=url, what=what) + debug, "s3://bucket/table"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("500 Internal Server Error", "InternalError"),
        ("502 Bad Gateway", ""),
        ("503 Slow Down", "SlowDown"),
        ("429 Too Many Requests", "TooManyRequests"),
        ("400 Bad Request", "RequestTimeout"),
    ],
)
def test_a_store_that_fails_may_do_later(status: str, code: str) -> None:
    assert kind(STATUS.format(status=status, code=code)) is BucketAway


@pytest.mark.parametrize("what", ["HTTP error: error sending request", "operation timed out", "error decoding body"])
def test_a_store_that_does_not_answer_may_do_later(what: str) -> None:
    assert kind(what) is BucketAway


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("403 Forbidden", "AccessDenied"),
        ("403 Forbidden", "ExpiredToken"),
        ("404 Not Found", "NoSuchBucket"),
        ("301 Moved Permanently", "PermanentRedirect"),
        ("400 Bad Request", "InvalidArgument"),
    ],
)
def test_a_refusal_stays_one(status: str, code: str) -> None:
    assert kind(STATUS.format(status=status, code=code)) is BucketError


def test_credentials_that_are_looked_for_in_vain() -> None:
    assert kind("HTTP error: error sending request", "http://127.0.0.1:1/latest/api/token") is BucketError


class DeltaError(Exception):
    pass


def test_every_error_of_a_store_is_told_and_none_of_another_kind() -> None:
    with pytest.raises(BucketAway), telling("s3://bucket/table"):
        raise DeltaError("Error interacting with object store: Generic S3 error: HTTP error: error sending request")
    with pytest.raises(DeltaError), telling("s3://bucket/table"):
        raise DeltaError("a concurrent transaction came first")
    with pytest.raises(DeltaError), telling("/a/folder"):
        raise DeltaError("Error interacting with object store")
