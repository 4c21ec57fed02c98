"""The parts of a run as they lie in the table's folder. Knows footers, not rows, and no Delta log."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from schemas.files import names_in, remove
from schemas.files.address import is_remote
from schemas.footer import read_footer
from schemas.job import job_of_part, part_path
from schemas.receipt import Receipt

_READERS = 8


class Part(NamedTuple):
    """One complete part; `path` is relative to the table."""

    path: str
    rows: int
    size_bytes: int
    receipt: Receipt


def list_parts(table: str, run: str) -> list[Part]:
    """The complete parts of a run, by job; a torn file, or one of another run or job, is no part of it."""
    jobs = sorted(job for name in names_in(os.path.join(table, run)) if (job := job_of_part(name)) is not None)
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda job: _part(table, run, job), jobs)
        return [part for part in found if part is not None]


def sweep(table: str, run: str) -> int:
    """Take away what broken writes of a run left behind; only once no worker writes for it any more.

    In an object store they leave nothing.
    """
    if is_remote(table):
        return 0
    swept = 0
    for folder in run, os.path.join("_errors", run):
        for name in names_in(os.path.join(table, folder)):
            if name.startswith((".part-", ".kept-", ".twins-")) and name.endswith(".tmp"):
                remove(os.path.join(table, folder, name))
                swept += 1
    return swept


def _part(table: str, run: str, job: int) -> Part | None:
    path = part_path(run, job)
    footer = read_footer(os.path.join(table, path))
    if footer is None or (footer.receipt.run, footer.receipt.job) != (run, job):
        return None
    return Part(path, footer.rows, footer.size_bytes, footer.receipt)
