"""From counters to what a person reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.display import duration, line
from producer.ledger import Progress
from producer.progress import Rates
from schemas.receipt import COUNTERS


def progress(at, rows, *, state="running", failed=0, dead=0, jobs=None):
    counters = dict.fromkeys(COUNTERS, 0) | {"rows": rows, "tokens": rows * 10, "failed": failed}
    return Progress(
        state=state,
        jobs=jobs,
        enqueued=9,
        done=3,
        dead=dead,
        leased=2,
        sent=1,
        counters=counters,
        first_claim=0.0,
        at=at,
    )


def test_rates_and_the_time_left_follow_the_last_half_minute():
    rates = Rates(rows_total=1000)
    rates.view(progress(0, 0), queued=4, workers=1)
    rates.view(progress(10, 100), queued=4, workers=1)
    view = rates.view(progress(20, 300), queued=4, workers=1)
    assert (view.rows_per_second, view.tokens_per_second) == (15, 150)
    assert view.eta_seconds == pytest.approx(700 / 15)
    for at in range(30, 80, 10):  # it stands still for longer than the window: nothing of the past is left
        view = rates.view(progress(at, 300), queued=0, workers=0)
    assert (view.rows_per_second, view.eta_seconds) == (0, None)


@given(steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000)), min_size=1, max_size=30))
def test_rates_are_never_negative_and_never_fail(steps):
    rates, at, rows = Rates(rows_total=10_000), 0.0, 0
    for seconds, more in steps:
        at, rows = at + seconds, rows + more
        view = rates.view(progress(at, rows), queued=0, workers=1)
        assert view.rows_per_second >= 0
        assert view.eta_seconds is None or view.eta_seconds >= 0


def test_the_line_says_what_is_wrong():
    view = Rates(rows_total=100).view(progress(0, 50, state="paused", failed=2, dead=1), queued=4, workers=0)
    text = line(view)
    for word in (
        "paused",
        "52/100 rows (52%)",
        "no worker yet",
        "2 failed rows",
        "1 dead jobs",
        "4 queued, 2 in flight",
    ):
        assert word in text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (59.4, "59s"), (185, "3m05s"), (7800, "2h10m")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_a_run_has_ended_when_all_its_jobs_have():
    assert not progress(0, 0).ended
    assert not progress(0, 0, jobs=4).ended
    assert progress(0, 0, jobs=4, dead=1).ended
