"""An embedded run into a bucket: neither credentials nor texts lie anywhere but where they must."""

from pathlib import Path

import psutil
import pytest

from schemas.files import names_in, read_bytes
from tests.chaos.test_obstacles import MakeWorld, assert_ends_well
from tests.integration.s3_server import SECRET
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

#: In every text of the corpus.
TEXT = "of seed 0"


def told(folder: Path) -> dict[str, bytes]:
    """All files below a folder that are there now."""
    found = {}
    for path in folder.rglob("*"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


def kept(table: str) -> dict[str, bytes]:
    """Records and log of a table."""
    places = [
        f"{table}/{folder}/{name}" for folder in ("_runs", "_delta_log") for name in names_in(f"{table}/{folder}")
    ]
    return {place: read_bytes(place) or b"" for place in places}


def test_an_embedded_run_keeps_credentials_and_texts_to_itself(make_world: MakeWorld) -> None:
    world = make_world("embedded", seconds_per_text=0.2 / 256, bucket=True)
    (driver,) = world.drivers
    wait_until(lambda: world.parts() >= 1, log=driver.log)
    private = told(world.folder / "tmp")
    typed = [" ".join(child.cmdline()) for child in psutil.Process(driver.pid).children(recursive=True)]
    assert_ends_well(world)
    places = [private, told(world.folder / "logs"), told(world.folder / "state"), kept(world.table)]
    for place in places:
        assert any(b"tables" in content for content in place.values()), "what is searched says something of the run"
        assert not [name for name, content in place.items() if SECRET.encode() in content]
    assert not [line for line in typed if SECRET in line or "somebody" in line]
    payloads = [name for name in private if "appendonlydir" in name]
    assert payloads
    for name, content in [one for place in places for one in place.items()]:
        assert name in payloads or TEXT.encode() not in content, name
