"""When a schedule ticks: the same ticks whoever asks and whenever, each once, whatever clocks are set to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producer.schedule.cron import Cron
from schemas.errors import UsageError

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
EXPRESSIONS = [
    "0 3 * * *",
    "30 2 * * *",
    "*/20 * * * *",
    "15 1,2,3 * * 0",
    "0 0 1 * *",
    "0 */6 * * MON-FRI",
    "5 * * * *",
]
#: Two years, with all their changes of clocks.
MOMENTS = st.integers(
    int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2028, 1, 1, tzinfo=UTC).timestamp())
)


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def local(tick, zone):
    return datetime.fromtimestamp(tick, ZoneInfo(zone)).isoformat(" ", "minutes")


def ticks(cron, after, until):
    """All of them, asked for one after the other, as a service does."""
    found = []
    while (tick := cron.after(found[-1] if found else after)) <= until:
        found.append(tick)
    return found


@given(
    st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), MOMENTS, st.integers(0, 40 * 86_400), st.integers(0, 86_400)
)
@example("30 2 * * *", "Europe/Berlin", int(at("2026-10-24 12:00")), 86_400, 47_700)
@example("30 2 * * *", "Europe/Berlin", int(at("2026-03-28 12:00")), 86_400, 46_000)
def test_what_ticks_does_not_depend_on_when_it_is_asked(expression, zone, begin, span, late):
    cron = Cron(expression, zone)
    end = begin + span
    found = ticks(cron, begin, end)
    assert found == sorted(set(found))
    assert all(begin < tick <= end for tick in found)
    assert cron.latest(begin, end) == (found[-1] if found else None)
    middle = min(begin + late, end)
    assert ticks(cron, middle, end) == [tick for tick in found if tick > middle]


@pytest.mark.parametrize(
    ("expression", "day", "zone", "expected"),
    [
        ("30 2 * * *", "2026-03-29", "Europe/Berlin", ["2026-03-29 03:00+02:00"]),
        ("30 2 * * *", "2026-10-25", "Europe/Berlin", ["2026-10-25 02:30+02:00"]),
        ("30 1 * * *", "2026-11-01", "America/New_York", ["2026-11-01 01:30-04:00"]),
        ("0 3 * * *", "2026-03-29", "Europe/Berlin", ["2026-03-29 03:00+02:00"]),
        ("0 3 * * *", "2026-10-25", "Europe/Berlin", ["2026-10-25 03:00+01:00"]),
        ("0 3 * * *", "2026-10-26", "Europe/Berlin", ["2026-10-26 03:00+01:00"]),
    ],
)
def test_a_named_hour_ticks_once_a_day_also_when_clocks_change(expression, day, zone, expected):
    begin = at(f"{day} 00:00", zone) - 1
    found = ticks(Cron(expression, zone), begin, at(f"{day} 23:59", zone))
    assert [local(tick, zone) for tick in found] == expected


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-10-26", 24)])
def test_every_hour_means_every_hour_that_passes(day, hours):
    begin = at(f"{day} 00:00", "Europe/Berlin") - 1
    assert len(ticks(Cron("0 * * * *", "Europe/Berlin"), begin, at(f"{day} 23:59", "Europe/Berlin"))) == hours


@pytest.mark.parametrize(
    "expression", ["", "daily", "0 3 * *", "0 0 3 * * *", "60 3 * * *", "0 3 30 2 *", "0 3 * * L8"]
)
def test_what_is_no_cron_expression_is_told(expression):
    with pytest.raises(UsageError, match=r"five fields|no cron expression|never comes"):
        Cron(expression, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "europe"])
def test_an_unknown_time_zone_is_told(zone):
    with pytest.raises(UsageError, match="time zone"):
        Cron("0 3 * * *", zone)
