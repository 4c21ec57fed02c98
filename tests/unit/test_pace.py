"""How often a run is looked at."""

from hypothesis import given
from hypothesis import strategies as st

from producer.pace import Pace


def test_a_short_run_is_looked_at_often_and_a_long_one_once_a_second():
    pace = Pace()
    rests = [pace.rest(None) for _ in range(300)]
    assert rests[0] == 0.1
    assert rests == sorted(rests)
    assert rests[-1] == 1.0


def test_near_its_end_a_long_run_is_looked_at_often_again():
    pace = Pace()
    for _ in range(300):
        pace.rest(3600.0)
    assert [pace.rest(left) for left in (3600.0, 10.0, 5.0, 1.0, 0.0, 3600.0)] == [1.0, 1.0, 0.5, 0.1, 0.1, 1.0]


@given(st.lists(st.none() | st.floats(0, 1e9)))
def test_a_rest_is_never_shorter_than_the_first_nor_longer_than_a_second(lefts):
    pace = Pace()
    assert all(0.1 <= pace.rest(left) <= 1.0 for left in lefts)
