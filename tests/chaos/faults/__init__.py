"""The faults, each a small object: what strikes, for how long, and how it is mended."""

from tests.chaos.faults.around import Clock, Network
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.redis import OldRedis, Redis, Setting, Wipe
from tests.chaos.faults.store import FullDisk, Store
from tests.chaos.faults.who import Death, Producer, SecondProducer, Worker

__all__ = [
    "Clock",
    "Death",
    "Fault",
    "FullDisk",
    "Network",
    "OldRedis",
    "Producer",
    "Redis",
    "SecondProducer",
    "Setting",
    "Store",
    "Wipe",
    "Worker",
]
