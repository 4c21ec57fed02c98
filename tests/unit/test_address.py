"""Every place in a bucket has one spelling, so no other spelling leads out of a root."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.errors import UsageError
from schemas.files.address import bucket_and_key, is_remote, normal, within
from tests.unit.parts import a_record
from worker.settings import Refused, WorkerSettings

ROOT = "s3://bucket/team/data"
PIECES = [
    "bucket",
    "team",
    "data",
    "s3:",
    "S3:",
    "",
    ".",
    "..",
    "%2e%2e",
    "%2F",
    "\\",
    "data-other",
    "Data",
    "a b",
    "?x",
]


@given(st.lists(st.sampled_from(PIECES), max_size=7).map("/".join))
@example("s3://bucket/team/data/../other")
@example("s3://bucket/team/data/./x")
@example("s3://bucket/team//data")
def test_what_is_allowed_is_the_root_or_spelled_below_it(address):
    try:
        allowed = is_remote(address) and within(address, ROOT)
    except UsageError:
        return
    segments = address.removesuffix("/").split("/")
    below = (
        segments[:5] == ROOT.split("/") and not {"", ".", ".."} & set(segments[3:]) and not set("%\\? ") & {*address}
    )
    assert allowed == below


@pytest.mark.parametrize(
    "table",
    [
        *("s3://bucket/team/data-other", "s3://bucket/team", "s3://bucket", "s3://other/team/data", "/team/data"),
        *("s3://bucket/team/data/../x", "s3://bucket/team/data/%2e%2e/x", "s3://bucket/team/data\\..\\x"),
        *("s3://bucket/Team/data/x", "S3://bucket/team/data", "s3://bucket/team//data/x", "s3://bucket/team/data?x"),
        *("s3a://bucket/team/data/x", "s3:/bucket/team/data/x", "gs://bucket/team/data", "file:///bucket/team/data"),
        "s3://user:secret@bucket/team/data",
    ],
)  # fmt: skip
def test_a_worker_refuses_what_is_not_below_its_root(table):
    settings = WorkerSettings(broker_url="redis://x", allow_roots=(ROOT,))
    with pytest.raises(Refused) as refusal:
        settings.check(a_record(table))
    assert "secret@" not in str(refusal.value)
    settings.check(a_record(f"{ROOT}/deep/table"))


def test_a_folder_does_not_allow_a_bucket(tmp_path):
    with pytest.raises(Refused):
        WorkerSettings(broker_url="redis://x", allow_roots=(str(tmp_path), "/")).check(a_record(ROOT))


def test_a_root_is_read_in_its_one_spelling_and_a_wrong_one_ends_the_start():
    env = {"VECMILL_BROKER_URL": "redis://h"}
    read = WorkerSettings.from_env({**env, "VECMILL_ALLOW_ROOTS": f"{ROOT}/,/data"})
    assert read.allow_roots == (ROOT, "/data")
    with pytest.raises(UsageError, match="no place for a table"):
        WorkerSettings.from_env({**env, "VECMILL_ALLOW_ROOTS": "s3://bucket/../x"})


def test_an_address_is_split_and_spelled():
    assert bucket_and_key("s3://bucket/a/b/") == ("bucket", "a/b")
    assert normal("s3://bucket/") == "s3://bucket"
    with pytest.raises(UsageError) as refusal:
        normal("s3://key:secret@bucket/x")
    assert "secret" not in str(refusal.value)
