"""A disk that takes nothing at the commit, or a bucket that is away, is waited for, and given up in words."""

import errno
import os

import pytest

from producer import publish
from schemas.errors import BucketAway, RunFailed
from tests.unit.parts import a_record

FULL = OSError("Generic LocalFileSystem error\n  \x1b[31m↳\x1b[0m No space left on device (os error 28)\n")


class Said:
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def failing(monkeypatch, *errors):
    left = list(errors)

    def attempt():
        if left:
            raise left.pop(0)
        return 7

    monkeypatch.setattr(publish, "_RESTS_SECONDS", (0,) * 3)
    return attempt


def test_a_disk_that_is_full_at_the_commit_is_waited_for(monkeypatch, tmp_path):
    attempt = failing(monkeypatch, FULL, OSError(errno.EROFS, os.strerror(errno.EROFS)))
    said = Said()
    assert publish.publish(a_record(tmp_path), attempt, said) == 7
    (line,) = said.lines
    assert "Generic LocalFileSystem error No space left on device (os error 28); waiting" in line


def test_a_bucket_that_is_away_is_waited_for(monkeypatch, tmp_path):
    attempt = failing(monkeypatch, BucketAway("S3 does not answer", way_out="wait"))
    said = Said()
    assert publish.told(a_record(tmp_path), attempt, said) == 7
    (line,) = said.lines
    assert line.endswith("cannot be read: S3 does not answer; waiting until that is mended")


def test_for_so_long_and_then_it_says_how_to_go_on(monkeypatch, tmp_path):
    attempt = failing(monkeypatch, FULL, FULL, FULL)
    with pytest.raises(RunFailed, match=r"No space left on device[\s\S]*vecmill resume run-1"):
        publish.publish(a_record(tmp_path), attempt, Said())


def test_other_errors_are_not_waited_for(monkeypatch, tmp_path):
    attempt = failing(monkeypatch, FileNotFoundError("a part has gone"))
    with pytest.raises(FileNotFoundError):
        publish.publish(a_record(tmp_path), attempt, Said())
