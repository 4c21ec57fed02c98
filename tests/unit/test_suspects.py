"""Whichever rows kill workers, they are found, no other is blamed, and it costs no more deaths than documented."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.suspects import AROUND, MOST_ROWS_AT_FAULT, Hopeless, Span, check_hope, pieces, rows_at_fault, spans


def attempt(rows: int, poison: set[int], deaths: list[Span]) -> Span | None:
    """One worker's life: the piece it died at, or None when it got through; it sees every row but those left out."""
    seen: list[int] = []
    for span, tried in pieces(rows, deaths):
        assert all(span.begin <= row < span.end for row in tried)
        if poison & set(tried):
            return span
        seen += tried
    assert sorted([*seen, *rows_at_fault(deaths)]) == list(range(rows)), "each row once"
    return None


@given(rows=st.integers(1, 5000), data=st.data())
def test_the_rows_at_fault_are_found_in_few_deaths(rows: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, rows - 1), max_size=4))
    steps = max(1, math.ceil(round(math.log(rows, 16), 9)))
    most = len(poison) * (steps + 1)
    deaths: list[Span] = []
    while (died := attempt(rows, poison, deaths)) is not None:
        check_hope(deaths)
        deaths.append(died)
        assert len(deaths) <= most
    assert set(rows_at_fault(deaths)) == poison
    assert spans(map(str, deaths)) == deaths


@given(rows=st.integers(1, 300), data=st.data())
def test_a_death_by_chance_blames_nobody(rows: int, data: st.DataObject) -> None:
    spans_there = [span for span, _ in pieces(rows, [])]
    deaths = [data.draw(st.sampled_from(spans_there))]
    assert attempt(rows, set(), deaths) is None
    assert rows_at_fault(deaths) == {}


def test_there_is_an_end_to_it() -> None:
    check_hope([AROUND, AROUND])
    with pytest.raises(Hopeless, match="3 times"):
        check_hope([AROUND] * 3)
    deaths = [Span(row, row + 1) for row in range(MOST_ROWS_AT_FAULT) for _ in range(2)]
    check_hope(deaths)
    with pytest.raises(Hopeless, match="9 rows"):
        check_hope([*deaths, Span(99, 100), Span(99, 100)])
