"""Sources in object stores: the same rows as of the same files on a disk, and errors that say what to look at.

The store is moto. For `gs://` it is asked through the XML interface that Google's store and S3 share; Google's own was
not asked.
"""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.source import Cursor, open_source, pinned
from schemas.errors import BucketAway, BucketError, SourceError, VecmillError
from schemas.files import bucket, client
from schemas.run import SourceOptions
from tests.integration.conftest import Processes, texts
from tests.integration.s3_server import SECRET, S3Server
from tests.unit.source.corpora import all_rows, opened, write_jsonl
from tests.unit.source.test_every_format import KINDS, ROWS, write

pytestmark = pytest.mark.integration

#: Names that a store, a client or a URL might take for something else.
ODD = ["a b.txt", "100%.txt", "x%20y.txt", "q?x#y.txt", "[1].txt", "a+b&c=~.txt", "ü/漢字😀.txt", "back\\slash.txt"]


@pytest.fixture(params=["s3", "gs"])
def scheme(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same bucket through both clients."""
    url = s3.env["AWS_ENDPOINT_URL"]
    key = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    (tmp_path / "key.json").write_text(json.dumps(key))
    for name, value in {"SERVICE_ACCOUNT": tmp_path / "key.json", "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"GOOGLE_{name}", str(value))
    return str(request.param)


@pytest.fixture(autouse=True)
def _fresh(s3: S3Server) -> Iterator[None]:
    """Clients are kept as long as a process lives; here the environment changes under them."""
    for one in bucket.s3_store, client.gs_store:
        one.cache_clear()
    yield
    s3.fault()
    for one in bucket.s3_store, client.gs_store:
        one.cache_clear()


class Copied:
    """A folder, and what was copied from it into a bucket."""

    def __init__(self, s3: S3Server, scheme: str, folder: Path) -> None:
        # No hyphen: Google's client writes it as %2D, which moto does not read in a bucket's name.
        self.bucket, self._s3, self.folder = f"corpora{folder.name.replace('-', '').replace('_', '')}"[:60], s3, folder
        self.root = f"{scheme}://{self.bucket}/in"
        self._put("")

    def copy(self) -> str:
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.put(str(path.relative_to(self.folder)), path.read_bytes())
        return self.root

    def put(self, name: str, data: bytes) -> None:
        self._put(f"/in/{urllib.request.quote(name)}", data)

    def _put(self, path: str, data: bytes = b"") -> None:
        url = f"{self._s3.env['AWS_ENDPOINT_URL']}/{self.bucket}{path}"
        headers = {"Content-Type": "application/octet-stream", "Authorization": "Bearer somebody"}
        headers["x-amz-acl"] = "public-read"  # Google's client is told to bring no token.
        urllib.request.urlopen(urllib.request.Request(url, data=data, method="PUT", headers=headers)).close()


@pytest.fixture
def copied(s3: S3Server, scheme: str, tmp_path: Path) -> Copied:
    (tmp_path / "in").mkdir()
    made = Copied(s3, scheme, tmp_path)
    made.folder = tmp_path / "in"
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_in_a_store_has_the_same_rows(copied: Copied, kind: str) -> None:
    """Also from any place on, and by ids alone."""
    local = write(copied.folder, kind, ROWS)
    stored = f"{copied.copy()}/{local.name}"
    everything = all_rows(local, keep=("year",))
    assert len(everything) == 30
    assert all_rows(stored, keep=("year",)) == everything == all_rows(copied.root, keep=("year",))
    assert [one for ids in opened(stored).ids() for one in ids.to_pylist()] == [row["id"] for row in everything]
    for row in (1, 13, 29):
        (batch, *_) = opened(local).batches()
        start = batch.after(row) if row <= batch.rows.num_rows else Cursor(0, row, row)
        assert all_rows(stored, keep=("year",), start=start) == all_rows(local, keep=("year",), start=start)


PATTERNS = ["", "*", "*.txt", "**", "**/*.txt", "a/**/x.txt", "*/x.txt", "?/*", "[ab]", "a/*", "a.txt", "b"]
PLACES = [
    "a.txt", "x.txt", "_x.txt", ".x.txt", "a/x.txt", "a/b/x.txt", "a/b/c/x.txt", "b/x.txt", "_b/x.txt", "ab/y.txt",
    "b/.h/x.txt", "b/x.docx",
]  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(places=st.sets(st.sampled_from(PLACES), min_size=1), pattern=st.sampled_from(PATTERNS))
def test_the_same_files_are_named(s3: S3Server, tmp_path_factory: Any, places: set[str], pattern: str) -> None:
    """By folders and globs, in the same order; and where there are none, that is an error in both."""
    folder = tmp_path_factory.mktemp("named")
    here = Copied(s3, "s3", folder)
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place)
    here.copy()

    def named(root: str) -> list[str] | type[VecmillError]:
        try:
            return [file.name for file in open_source(SourceOptions(paths=(f"{root}/{pattern}".rstrip("/"),))).files]
        except VecmillError as error:
            return type(error)

    assert named(str(folder)) == named(here.root)


def test_keys_of_any_characters(copied: Copied) -> None:
    for name in ODD:
        (copied.folder / name).parent.mkdir(exist_ok=True)
        (copied.folder / name).write_text(f"{name}\n")
    copied.copy()
    assert all_rows(copied.root) == all_rows(copied.folder)
    assert len(all_rows(copied.root)) == len(ODD)
    for name in ODD:
        assert [row["text"] for row in all_rows(f"{copied.root}/{name}")] == [name]
    copied.put("p//double.txt", b"x")
    with pytest.raises(SourceError, match=r"in/p//double.txt: a key with an empty or dotted part"):
        opened(copied.root)


def test_a_table_keeps_the_version_that_a_run_began_with(copied: Copied) -> None:
    table = write(copied.folder, "delta", ROWS)
    stored = f"{copied.copy()}/{table.name}"
    begun = pinned(SourceOptions(paths=(stored,)))
    assert begun.paths == (f"{stored}@1",)
    write_deltalake(table, pa.Table.from_pylist(ROWS[:1]), mode="overwrite")
    copied.copy()
    assert sum(batch.rows.num_rows for batch in open_source(begun).batches()) == 30
    with pytest.raises(SourceError, match="has no version 9; its latest is 2"):
        opened(f"{stored}@9")


def test_what_is_not_asked_for_does_not_travel(s3: S3Server, tmp_path: Path) -> None:
    """Of Parquet from a late place on, only the last row groups; of a listing, nothing of what is in the files."""
    here = Copied(s3, "s3", tmp_path)
    rows = {"id": [f"d{n}" for n in range(4_000)], "text": [f"{n}" * 500 for n in range(4_000)]}
    pq.write_table(pa.table(rows), tmp_path / "big.parquet", row_group_size=100, compression="none")
    here.copy()

    def travelled(start: Cursor) -> int:
        """The bytes that went over the wire, and the rows from a place on."""
        before = len(s3.requests)
        assert all_rows(here.root, start=start)[0]["id"] == f"d{start.row}"
        return sum(one.sent for one in s3.requests[before:] if one.method == "GET")

    size = (tmp_path / "big.parquet").stat().st_size
    assert travelled(Cursor(0, 3_950, 3_950)) < size / 4
    assert size < travelled(Cursor(0, 0, 0)) < size * 1.1


def test_a_file_that_is_written_over_is_noticed(copied: Copied) -> None:
    write_jsonl(copied.folder / "a.jsonl", [{"id": "a", "text": "one"}])
    copied.copy()
    source = opened(copied.root)
    assert source.state == opened(copied.root).state
    copied.put("a.jsonl", b'{"id": "a", "text": "two"}\n')
    assert source.state != opened(copied.root).state, "of the same name and size"
    with pytest.raises(SourceError, match=r"in/a.jsonl is gone, or another one than was found\n  -> .* a new run"):
        list(source.batches())


def test_a_store_that_refuses_or_is_away(
    s3: S3Server, copied: Copied, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong, where, and what to look at: for sources the rights to read are enough."""
    place = s3.env["AWS_ENDPOINT_URL"].removeprefix("http://") if scheme == "s3" else "Google Cloud Storage"
    write_jsonl(copied.folder / "credentials 404.jsonl", [{"id": "a", "text": "one"}])
    copied.copy()

    def refused(kind: type[VecmillError], path: str = "") -> str:
        with pytest.raises(kind) as refusal:
            opened(path or f"{copied.root}/credentials 404.jsonl")
        assert type(refusal.value) is kind
        assert SECRET not in str(refusal.value)
        return str(refusal.value)

    rights = "s3:GetObject and s3:ListBucket" if scheme == "s3" else "storage.objects.get and storage.objects.list"
    s3.fault("403 Forbidden", code="AccessDenied")
    assert refused(BucketError) == (
        f"{place} does not allow this in {scheme}://{copied.bucket} (AccessDenied)\n"
        f"  -> the credentials need {rights} there"
    )
    s3.fault("403 Forbidden", code="InvalidAccessKeyId")
    assert "does not accept the credentials" in refused(BucketError)
    s3.fault()
    assert refused(SourceError, f"{scheme}://nowhere/x.jsonl").startswith(
        f"there is no bucket {scheme}://nowhere at {place}\n  -> check the address"
    )
    assert refused(SourceError, f"{copied.root}/credentials 40.jsonl").endswith(
        "\n  -> did you mean credentials 404.jsonl?"
    )
    assert refused(SourceError, f"{copied.root}/none/x.jsonl").startswith(f"there is no folder {copied.root}/none")
    assert "no files to read" in refused(SourceError, f"{copied.root}/*.csv")
    copied.put("docs/a.docx", b"PK")
    assert "it holds 1 .docx" in refused(SourceError, f"{copied.root}/docs")
    monkeypatch.setattr(bucket if scheme == "s3" else client, "RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", (copied.folder.parent / "key.json").read_text().replace(
        s3.env["AWS_ENDPOINT_URL"], "http://127.0.0.1:1"
    ))  # fmt: skip
    monkeypatch.delenv("GOOGLE_SERVICE_ACCOUNT")
    for one in bucket.s3_store, client.gs_store:
        one.cache_clear()
    assert "does not answer for" in refused(BucketAway)


def test_a_run_reads_a_bucket(s3: S3Server, vecmill: Processes, tiny_model: Path, tmp_path: Path) -> None:
    """A table made from a bucket is what the local files would make of it: against them nothing is left to do."""
    (tmp_path / "corpus" / "more").mkdir(parents=True)
    said = texts(40)
    write_jsonl(tmp_path / "corpus" / "a.jsonl", [{"id": f"a{n}", "text": text} for n, text in enumerate(said[:20])])
    (tmp_path / "corpus" / "more" / "b.txt").write_text("\n".join(said[20:]) + "\n")
    here = Copied(s3, "s3", tmp_path)
    here.folder = tmp_path / "corpus"
    arguments = ("--model", tiny_model, "--to", "out", "--keep-text", "--json")
    done = vecmill.run("embed", f"{here.copy()}/", *arguments, "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["embedded"] == 40
    shutil.rmtree(tmp_path / "state")
    again = vecmill.run("embed", tmp_path / "corpus", *arguments, "--mode", "sync", "--dry-run")
    told = json.loads(again.stdout.splitlines()[-1])
    assert (told["reused"], told["embedded"], told["deleted"]) == (40, 0, 0), again.stderr
