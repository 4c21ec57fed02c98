"""All that is looked at, one after the other; each look stands for itself."""

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec

from producer import side_door
from producer.doctor.check import Check, looked
from producer.doctor.disk import look_at_disks, look_at_table
from producer.doctor.packages import look_at_packages
from producer.doctor.redis import look_at_redis
from producer.embedded.machine import usable_cores
from producer.model import resolve_model
from schemas.record import Record
from schemas.spec import ModelOptions


class Patient(Record):
    """What a run would use; None is not looked at. `broker` None: the run would start a Redis and workers itself."""

    broker: str | None = None
    device: str = "auto"
    model: str | None = None
    table: str | None = None


def examine(patient: Patient) -> Iterator[Check]:
    """Every check, as it is made."""
    yield from looked("packages", look_at_packages)
    yield from looked("Redis", partial(look_at_redis, patient.broker))
    yield from looked("device", partial(_device, patient))
    if patient.model is not None:
        yield from looked("model", partial(_model, patient.model))
    if patient.table is not None:
        yield from looked("table", partial(look_at_table, patient.table))
    yield from looked("disk", look_at_disks)


def _device(patient: Patient) -> Iterator[Check]:
    if find_spec("torch") is None and patient.broker is not None:
        yield Check(subject="device", verdict="good", said="no torch here: workers on other machines encode")
        return
    found = side_door.device(patient.device)
    said = f"{found['device']}: {found['name']}, {usable_cores()} cores; auto computes in {found['dtype']}"
    yield Check(subject="device", verdict="good", said=said)


def _model(model: str) -> Iterator[Check]:
    spec = resolve_model(ModelOptions(model=model))
    length = "any number of" if spec.max_tokens is None else f"up to {spec.max_tokens}"
    said = f"{spec.model}: {spec.dims} dimensions, reads {length} tokens; vecmill inspect says all"
    yield Check(subject="model", verdict="good", said=said)
    for warning in spec.warnings:
        yield Check(subject="model", verdict="warning", said=warning)
