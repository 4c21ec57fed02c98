"""`vecmill report` of a run that real workers did, and of a table in an object store."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from producer import records
from producer.report import tell, write_report
from producer.table import read_record
from schemas.files import read_bytes
from schemas.run import RunRecord
from tests.integration.conftest import Processes, texts
from tests.integration.s3_server import S3Server
from tests.unit.parts import a_record, write_run

pytestmark = pytest.mark.integration


def test_a_run_is_told_of_from_its_receipts(served: Processes, tiny_model: Path, tmp_path: Path) -> None:
    said: list[str | None] = [*texts(300), "a " * 90, None]
    corpus, table = tmp_path / "corpus.parquet", tmp_path / "out"
    pq.write_table(pa.table({"id": [f"doc-{at}" for at in range(302)], "text": said}), corpus)
    embed = ["embed", corpus, "--model", tiny_model, "--to", table, "--run-id", "told"]
    assert served.run(*embed, "--keep-text").returncode == 3
    done = served.run("report", table, "--to", tmp_path / "report.html")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "report.html")), done.stderr
    page = (tmp_path / "report.html").read_text()
    for words in ("committed as version 0", "doc-299", "is null", "cut at 64", "Made with", "float32"):
        assert words.lower() in page.lower(), words
    record = read_record(str(table), "told")
    assert record is not None
    # A later run that found no row to embed is not what a reader wants to hear of.
    later = {"run": "later", "rows": 0, "source_rows": 0, "created_at": record.created_at + 1}
    records.save(record.model_copy(update=later))
    assert served.run("report", table).stdout.strip().endswith("report-told.html")
    assert served.run("report", table, "--run", "later").stdout.strip().endswith("report-later.html")
    assert served.run("report", table, "--run", "told").returncode == 0
    assert (tmp_path / "report-told.html").exists()
    nowhere = served.run("report", table, "--to", "/proc/nowhere/report.html")
    assert (nowhere.returncode, nowhere.stderr.startswith("error: cannot write /proc/nowhere")) == (2, True)
    unknown = served.run("report", table, "--run", "two")
    assert (unknown.returncode, "vecmill runs" in unknown.stderr) == (2, True)
    check_receipts(read_record(str(table), "told"))


def check_receipts(record: RunRecord | None) -> None:
    """What workers wrote is what the page is drawn from."""
    assert record is not None
    story = tell(record)
    assert (story.totals.rows, story.totals.failed, story.totals.truncated, story.own) == (301, 1, 1, True)
    assert story.failed.total == 1
    assert sum(sum(receipt.batch_fill.values()) for receipt in story.receipts) == story.totals.batches > 0
    assert story.lengths.counts.sum() == 301
    assert {"torch", "transformers", "pyarrow"} <= set(story.versions)


def test_a_table_in_a_bucket_is_told_of_into_the_bucket(s3: S3Server) -> None:
    table = f"s3://{s3.bucket}/told"
    record = a_record(table, rows=25)
    write_run(record, [f"text {at}" for at in range(25)])
    story = tell(record)
    assert (story.totals.rows, story.lengths.rows, story.sample.looked_at) == (25, 25, 25)
    write_report(story, f"{table}/report.html")
    assert b"25 of 25 rows" in (read_bytes(f"{table}/report.html") or b"")
