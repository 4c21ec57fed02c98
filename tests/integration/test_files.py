"""What a table's files promise, on a disk and in an object store alike."""

import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.files import names_in, opened, read_bytes, remove, remove_folder, size_of, written
from tests.integration.s3_server import S3Server

pytestmark = pytest.mark.integration

#: Of each folder another one whose name begins alike.
FOLDERS = ["a", "a/b", "a-b", "ab"]
PLACES = [f"{folder}/{name}" for folder in FOLDERS for name in ("x.parquet", "y")]
PLACE, CONTENT = st.sampled_from(PLACES), st.binary(max_size=20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), PLACE, CONTENT),
        st.tuples(st.just("once"), PLACE, CONTENT),
        st.tuples(st.just("break"), PLACE, CONTENT),
        st.tuples(st.just("remove"), PLACE, st.none()),
        st.tuples(st.just("remove folder"), st.sampled_from(FOLDERS), st.none()),
    ),
    max_size=12,
)


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, s3: S3Server, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "disk" else f"s3://{s3.bucket}/{uuid.uuid4().hex}"


class Broken(Exception):
    pass


def put(address: str, content: bytes, *, once: bool = False, breaks: bool = False) -> None:
    with written(address, once=once) as stream:
        stream.write(content)
        if breaks:
            raise Broken


def step(root: str, model: dict[str, bytes], what: str, place: str, content: bytes | None) -> None:
    """One step, on the files and on a dictionary."""
    address = f"{root}/{place}"
    if what == "remove":
        remove(address)
        model.pop(place, None)
    elif what == "remove folder":
        remove_folder(address)
        for name in [name for name in model if name.startswith(f"{place}/")]:
            del model[name]
    elif what == "break":
        with pytest.raises(Broken):
            put(address, content or b"", breaks=True)
    elif what == "once" and place in model:
        with pytest.raises(FileExistsError):
            put(address, content or b"", once=True)
    else:
        put(address, content or b"", once=what == "once")
        model[place] = content or b""


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_files_are_what_a_dictionary_is(root: str, steps: list[tuple[str, str, bytes | None]]) -> None:
    top, model = f"{root}/{uuid.uuid4().hex}", dict[str, bytes]()
    for one in steps:
        step(top, model, *one)
    assert {place: read_bytes(f"{top}/{place}") for place in PLACES} == {place: model.get(place) for place in PLACES}
    for folder in FOLDERS:
        below = {name.removeprefix(f"{folder}/").split("/")[0] for name in model if name.startswith(f"{folder}/")}
        # A disk keeps folders that have become empty.
        assert below <= set(names_in(f"{top}/{folder}")) <= below | {"b"}


def test_what_is_read_is_what_was_asked_for(root: str) -> None:
    content = bytes(range(256)) * 20
    put(f"{root}/f", content)
    assert size_of(f"{root}/f") == len(content)
    with opened(f"{root}/f") as file:
        for start, count in ((0, 10), (5000, 500), (5119, 1), (300, 0), (17, 4000)):
            file.seek(start)
            assert file.read(count) == content[start : start + count]
        file.seek(-4, 2)
        assert file.read() == content[-4:]


def test_what_is_not_there_is_not_found(root: str) -> None:
    put(f"{root}/folder/f", b"x")
    for name in ("f", "folder/g", "other/f"):
        assert read_bytes(f"{root}/{name}") is None
        with pytest.raises(FileNotFoundError):
            opened(f"{root}/{name}")
        remove(f"{root}/{name}")
    assert names_in(f"{root}/other") == []
    assert names_in(root) == ["folder"]
    remove_folder(f"{root}/other")


def test_of_those_who_write_once_the_first_wins(root: str) -> None:
    won: list[int] = []
    ready = threading.Barrier(8)

    def write(number: int) -> None:
        ready.wait()
        try:
            put(f"{root}/f/part", b"%d" % number, once=True)
        except FileExistsError:
            return
        won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert read_bytes(f"{root}/f/part") == b"%d" % won[0]
    assert names_in(f"{root}/f") == ["part"]


def test_a_file_in_a_bucket_is_one_put_with_its_condition(s3: S3Server) -> None:
    place = f"s3://{s3.bucket}/puts"
    put(f"{place}/big", bytes(20 << 20), once=True)
    put(f"{place}/small", b"x")
    assert [(one.path, one.if_none_match) for one in s3.made("/puts/")] == [
        (f"/{s3.bucket}/puts/big", "*"),
        (f"/{s3.bucket}/puts/small", None),
    ]


def test_a_big_file_comes_in_pieces_that_appear_together(s3: S3Server) -> None:
    address, content = f"s3://{s3.bucket}/pieces/big", bytes(range(256)) * (33 << 12)
    put(address, content)
    assert len(s3.made("/pieces/")) > 1
    assert read_bytes(address) == content
