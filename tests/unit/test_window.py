"""The window follows the workers, and is bounded whatever they and the corpus are."""

from hypothesis import given
from hypothesis import strategies as st

from producer.window import MOST_WINDOW_JOBS, WINDOW_BYTES, WINDOW_JOBS, Window, window

counts = st.integers(0, 10**6)


@given(busy=counts, workers=counts, memory_bytes=st.integers(0, 2**40))
def test_it_is_bounded_and_leaves_half_of_the_memory(busy, workers, memory_bytes):
    found = window(busy=busy, workers=workers, memory_bytes=memory_bytes)
    assert WINDOW_JOBS <= found.jobs <= MOST_WINDOW_JOBS
    assert not memory_bytes or found.size_bytes <= memory_bytes // 2


@given(slots=st.integers(1, MOST_WINDOW_JOBS // 2))
def test_it_doubles_until_no_worker_waits(slots):
    found, looks = window(busy=0, workers=slots, memory_bytes=0), 0
    while found.jobs < 2 * slots and looks < 20:
        found, looks = window(busy=min(slots, found.jobs), workers=slots, memory_bytes=0), looks + 1
    assert found.jobs >= 2 * slots
    assert looks <= 6


def test_few_workers_get_what_they_always_got():
    assert window(busy=3, workers=2, memory_bytes=0) == Window(WINDOW_JOBS, WINDOW_BYTES)


def test_room_ends_at_either_bound():
    assert Window(2, 10).has_room(1, 9)
    assert not Window(2, 10).has_room(2, 0)
    assert not Window(2, 10).has_room(0, 10)
