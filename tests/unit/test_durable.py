"""A file appears whole or not at all, and its name is on the disk before anybody relies on it."""

import os
import stat

import pytest

from schemas.durable import written


def broken_off(path):
    with written(str(path)) as file:
        file.write(b"half of the ne")
        raise RuntimeError


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    with written(str(path)) as file:
        file.write(b"old")
    with pytest.raises(RuntimeError):
        broken_off(path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_the_folder_is_flushed_once_the_name_is_there(tmp_path, monkeypatch):
    path = tmp_path / "file"
    seen = []

    def fsync(descriptor):
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        seen.append((kind, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    with written(str(path)) as file:
        file.write(b"all of it")
    assert seen == [("file", False), ("folder", True)]
