"""Whatever lies in the queue is either one job's message, and nothing more, or malformed; it never raises else."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Channel, Message

from schemas.job import Job
from schemas.transport import MOST_ELEMENT_BYTES, TASK_NAME
from worker.message import Malformed, read_message

pytestmark = pytest.mark.fuzz

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def body(*parts: Any) -> str:
    return base64.b64encode(json.dumps(parts).encode()).decode()


def envelope(**changes: Any) -> dict[str, Any]:
    whole = {
        "body": body([], {"run": "r-1", "job": 7}, {"callbacks": None}),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": TASK_NAME, "id": "some-id", "lang": "py", "eta": None, "retries": 0},
        "properties": {"body_encoding": "base64", "delivery_tag": "t", "delivery_info": {"exchange": ""}},
    }
    return whole | changes


def job_in(element: bytes) -> Job | None:
    """What Celery would be given, read as kombu reads it; None for a malformed element."""
    try:
        read = read_message(element)
    except Malformed:
        return None
    channel = Channel.__new__(Channel)
    arguments, named, embedded = Message(json.loads(json.dumps(read)), channel=channel).decode()
    assert arguments == []
    assert not any(embedded.values())
    assert read["headers"]["task"] == TASK_NAME
    return Job(**named)


def test_a_message_of_ours_is_read_and_each_delivery_has_its_own_tag() -> None:
    element = json.dumps(envelope()).encode()
    assert job_in(element) == Job(run="r-1", job=7)
    tags = {read_message(element)["properties"]["delivery_tag"] for _ in range(2)}
    assert len(tags) == 2
    assert job_in(json.dumps(envelope(body=body(["r-1", 7], {}, {}))).encode()) == Job(run="r-1", job=7)


def test_callbacks_and_dates_of_a_message_do_not_pass() -> None:
    hostile = envelope(body=body([], {"run": "r-1", "job": 7}, {"callbacks": [{"task": "other"}], "chord": {}}))
    hostile["headers"] |= {"eta": "not a date", "expires": {}, "timelimit": "soon", "retries": "many"}
    assert job_in(json.dumps(hostile).encode()) == Job(run="r-1", job=7)


@given(st.binary(max_size=300))
def test_garbage_is_malformed(element: bytes) -> None:
    assert job_in(element) is None


@given(anything)
def test_json_that_is_no_envelope_is_malformed(value: Any) -> None:
    assert job_in(json.dumps(value).encode()) is None


@given(name=st.sampled_from(sorted(envelope())), value=anything)
def test_an_envelope_with_another_value_in_a_place_is_malformed(name: str, value: Any) -> None:
    assert job_in(json.dumps(envelope(**{name: value})).encode()) is None


@given(place=st.sampled_from(["headers", "properties"]), changes=st.dictionaries(st.text(max_size=14), anything))
def test_strange_headers_and_properties_do_no_harm(place: str, changes: dict[str, Any]) -> None:
    whole = envelope()
    element = json.dumps(whole | {place: whole[place] | changes}).encode()
    assert job_in(element) in (None, Job(run="r-1", job=7))


@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_one_wrong_byte_names_a_job_or_none(at: int, byte: int) -> None:
    element = bytearray(json.dumps(envelope()).encode())
    element[at % len(element)] = byte
    job_in(bytes(element))


@pytest.mark.parametrize(
    "element",
    [
        b"[" * 60_000,
        b" " * (MOST_ELEMENT_BYTES + 1),
        json.dumps(envelope(body="%%%")).encode(),
        json.dumps(envelope(body=body([], {"run": "../x", "job": 7}, {}))).encode(),
        json.dumps(envelope(body=body([], {"run": "r-1", "job": -1}, {}))).encode(),
        json.dumps(envelope(headers={"task": "os.system", "id": "x"})).encode(),
        json.dumps(envelope(headers={"task": TASK_NAME, "id": "\ud800"})).encode(),
        json.dumps(envelope(**{"content-type": "application/x-python-serialize"})).encode(),
    ],
)
def test_what_must_not_pass(element: bytes) -> None:
    assert job_in(element) is None
