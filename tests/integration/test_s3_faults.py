"""A store that refuses, fails or is silent: an error that says which setting to look at, in bounded time."""

import socket
import threading
import uuid
from collections.abc import Iterator

import pytest

from producer.table.check import check_table
from producer.table.log import latest_log
from schemas.arrow import part_schema
from schemas.errors import BucketAway, BucketError
from schemas.files import bucket, names_in, read_bytes, size_of, written
from tests.integration.s3_server import SECRET, S3Server
from tests.unit.parts import a_spec

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _fresh(s3: S3Server) -> Iterator[None]:
    """Clients are kept as long as a process lives; here the environment changes under them."""
    bucket.s3_store.cache_clear()
    yield
    s3.fault()
    bucket.s3_store.cache_clear()


def put(address: str, *, once: bool = False) -> None:
    with written(address, once=once) as stream:
        stream.write(b"content")


def check(table: str) -> None:
    check_table(table, spec=a_spec(), schema=part_schema([], keep_text=False), mode="upsert")


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ("403 Forbidden", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("403 Forbidden", "AccessDenied", "s3:PutObject"),
        ("404 Not Found", "NoSuchBucket", "no bucket"),
        ("301 Moved Permanently", "PermanentRedirect", "AWS_REGION"),
    ],
)
@pytest.mark.parametrize("asked", [names_in, put, read_bytes, check, latest_log])
def test_a_refusal_says_what_to_set_and_quotes_nothing(s3: S3Server, answer: str, code: str, said: str, asked) -> None:
    s3.fault(answer, code=code)
    with pytest.raises(BucketError) as refusal:
        asked(f"s3://{s3.bucket}/refused/table")
    assert said in str(refusal.value)
    assert not isinstance(refusal.value, BucketAway), "waiting does not help"
    assert SECRET not in str(refusal.value)


def test_a_bucket_that_is_not_there(s3: S3Server) -> None:
    with pytest.raises(BucketError, match="no bucket other-bucket at 127"):
        check("s3://other-bucket/table")


def test_a_store_that_fails_for_a_moment_is_asked_again(s3: S3Server) -> None:
    address = f"s3://{s3.bucket}/moment/{uuid.uuid4().hex}"
    s3.fault("503 Slow Down", code="SlowDown", times=2)
    put(address, once=True)
    assert read_bytes(address) == b"content"


def test_a_store_that_goes_on_failing_is_given_up(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "RETRIES", 1)
    s3.fault("500 Internal Server Error", code="InternalError")
    with pytest.raises(BucketAway, match="fails for"):
        size_of(f"s3://{s3.bucket}/f")


def test_no_answer_is_not_waited_for_for_ever(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "REQUEST_SECONDS", 1)
    monkeypatch.setattr(bucket, "RETRY_SECONDS", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                names_in(f"s3://{s3.bucket}/f")
            except BucketAway as error:
                failures.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(120)
    assert [("AWS_ENDPOINT_URL" in str(error)) for error in failures] == [True]


def test_nobody_there(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for asked in (names_in, latest_log):
        with pytest.raises(BucketAway, match=r"127\.0\.0\.1:1 does not answer"):
            asked(f"s3://{s3.bucket}/f")


def test_plain_http_must_be_meant(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(BucketError, match="AWS_ALLOW_HTTP=true"):
        names_in(f"s3://{s3.bucket}/f")


def test_no_credentials(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # Where a machine of the cloud would ask for its role.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(BucketError, match="AWS_ACCESS_KEY_ID"):
        names_in(f"s3://{s3.bucket}/f")


def test_a_store_without_conditional_puts_is_refused(s3: S3Server) -> None:
    table = f"s3://{s3.bucket}/unconditional"
    check(table)
    s3.fault("ignore")
    with pytest.raises(BucketError, match="If-None-Match"):
        check(table)
    assert names_in(f"{table}/_runs") == []
