"""What a person can mend while a run lasts is waited for, and said: a disk, and the settings of Redis."""

import signal
from collections.abc import Callable

import pytest

from producer.broker import Broker
from producer.status import of_broker
from schemas.ledger import RunKeys
from tests.chaos import corpus
from tests.chaos.faults import Store
from tests.chaos.oracle import check_folder, check_version
from tests.chaos.place import OnDisk
from tests.chaos.world import World
from tests.integration.waiting import wait_until

pytestmark = pytest.mark.integration

MakeWorld = Callable[..., World]


def assert_ends_well(world: World, codes: tuple[int, ...] = (0,)) -> None:
    (driver,) = world.drivers
    world.switch("fast", 1)
    wait_until(driver.done.is_set, log=driver.log)
    assert driver.codes == [*codes], driver.log.read_text()
    check_version(world.table, corpus.first(0), 0)
    check_folder(world.table, [world.task.run])


@pytest.mark.parametrize("read_only", [False, True], ids=["full", "read-only"])
def test_a_disk_that_takes_nothing_is_waited_for_and_costs_no_attempt(make_world: MakeWorld, read_only: bool) -> None:
    world = make_world("embed", seconds_per_text=0.2 / 256)
    (driver,), keys = world.drivers, RunKeys("run")
    wait_until(lambda: world.parts() >= 2, log=driver.log)
    assert isinstance(world.place, OnDisk)
    (world.place.disk.forbid if read_only else world.place.disk.fill)()
    wait_until(lambda: "until this is mended" in driver.log.read_text(), log=driver.log)
    said = driver.log.read_text()
    assert ("Read-only file system" if read_only else "No space left on device") in said
    assert world.client.hlen(keys.owners), "they hold their jobs"
    (waits,) = of_broker(Broker(world.url), "run").reason.split("; ")
    assert "worker(s) wait: cannot write" in waits
    world.place.disk.allow()
    assert_ends_well(world)
    said = driver.log.read_text()
    assert "no worker waits any more" in said
    assert "given back" not in said
    assert not any(world.client.exists(key) for key in (keys.attempts, keys.losses, keys.obstacles))


@pytest.mark.parametrize("kind", ["dead", "failing"])
def test_a_bucket_that_is_away_is_waited_for_and_costs_no_attempt(make_world: MakeWorld, kind: str) -> None:
    world = make_world("embed", seconds_per_text=0.2 / 256, bucket=True)
    (driver,), keys, away = world.drivers, RunKeys("run"), Store(kind=kind)
    wait_until(lambda: world.parts() >= 2, log=driver.log)
    away.strike(world, None)
    wait_until(lambda: "until this is mended" in driver.log.read_text(), log=driver.log)
    assert "cannot reach the table: 127.0.0.1:" in driver.log.read_text()
    assert "worker(s) wait: cannot reach" in of_broker(Broker(world.url), "run").reason
    # Another producer begins where that one was.
    driver.signal(signal.SIGKILL)
    wait_until(lambda: driver.starts == 2, log=driver.log)
    away.mend(world)
    assert_ends_well(world, codes=(-9, 0))
    assert "given back" not in driver.log.read_text()
    assert not any(world.client.exists(key) for key in (keys.attempts, keys.losses, keys.obstacles))


def test_a_redis_that_begins_to_evict_is_waited_for(make_world: MakeWorld) -> None:
    world = make_world("embed")
    (driver,) = world.drivers
    wait_until(lambda: world.client.hlen(RunKeys("run").owners), log=driver.log)
    world.client.config_set("maxmemory-policy", "allkeys-lru")
    wait_until(lambda: "maxmemory-policy allkeys-lru" in driver.log.read_text(), log=driver.log)
    assert "redis-cli CONFIG SET maxmemory-policy noeviction" in driver.log.read_text()
    world.client.config_set("maxmemory-policy", "noeviction")
    assert_ends_well(world)
