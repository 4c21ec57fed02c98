"""What a report computes, against plain arithmetic."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producer.display import short
from producer.report import drawings
from producer.report.charts import bars, stacked, ticks
from producer.report.lengths import token_lengths
from producer.report.neighbours import spot_checks
from producer.report.plane import flatten
from producer.report.sample import spread, take_sample
from producer.report.timeline import STAGES, timeline
from producer.table.codes import Coding
from producer.table.log import LiveFile
from schemas.receipt import StageSeconds
from tests.unit.parts import a_payload, a_receipt, a_record, write_job

SECONDS = st.floats(0, 500)


def a_job(begin, length, *, tokens=0, rows=0, shares=(0.0, 0.0, 0.0), **more):
    names = StageSeconds.model_fields
    seconds = StageSeconds(**{name: share * length / 3 for name, share in zip(names, shares, strict=True)})
    times = {"claimed_at": 1e9 + begin, "durable_at": 1e9 + begin + length}
    return a_receipt(a_record("t")).model_copy(
        update={**times, "tokens": tokens, "rows": rows, "seconds": seconds, **more}
    )


@given(
    jobs=st.lists(
        st.builds(a_job, SECONDS, SECONDS, tokens=st.integers(0, 9999), rows=st.integers(0, 99),
                  shares=st.tuples(*[st.floats(0, 1)] * 3)),
        min_size=1, max_size=40,
    )
)  # fmt: skip
@example(jobs=[a_job(0, 10, tokens=1), a_job(10, 0, tokens=5, rows=2)])
def test_nothing_is_lost_or_added_when_jobs_are_spread_over_time(jobs):
    line = timeline(jobs)
    assert line.step * line.tokens.sum() == pytest.approx(sum(job.tokens for job in jobs))
    assert line.step * line.rows.sum() == pytest.approx(sum(job.rows for job in jobs))
    for name in StageSeconds.model_fields:
        spent = sum(getattr(job.seconds, name) for job in jobs)
        assert line.step * line.stages[name].sum() == pytest.approx(spent, abs=1e-6)
    assert all((series >= 0).all() for series in line.stages.values())
    # What is neither in a stage nor waiting is not at work: together, the jobs that are in flight.
    flight = sum(job.durable_at - job.claimed_at for job in jobs)
    assert sum(line.step * line.stages[name].sum() for name in STAGES) == pytest.approx(flight, abs=1e-3)


def test_a_job_counts_where_it_was():
    line = timeline([a_job(0, 10, tokens=100), a_job(30, 10, tokens=300)])
    assert len(line.tokens) == 4
    assert line.tokens.tolist() == pytest.approx([10, 0, 0, 30])
    assert timeline([]) is None


@given(
    vectors=st.integers(3, 40).flatmap(
        lambda rows: st.integers(2, 20).flatmap(
            lambda dims: st.integers(0, 2**32 - 1).map(
                lambda seed: np.random.default_rng(seed).normal(size=(rows, dims)) * (0.5 ** np.arange(dims))
            )
        )
    )
)
def test_the_plane_is_that_of_the_largest_singular_values(vectors):
    vectors = vectors.astype(np.float32)
    plane = flatten(vectors)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    sizes = np.linalg.svd(centred, compute_uv=False) ** 2
    assert plane.places.shape == (len(vectors), 2)
    assert sum(plane.shares) == pytest.approx(sizes[:2].sum() / sizes.sum(), rel=2e-3)
    assert (plane.places == flatten(vectors).places).all()


@pytest.mark.parametrize("vectors", [np.ones((5, 3)), np.ones((1, 3)), np.array([[1.0], [2.0], [4.0]])])
def test_a_plane_of_little_is_still_one(vectors):
    plane = flatten(vectors.astype(np.float32))
    assert plane.places.shape == (len(vectors), 2)
    assert np.isfinite(plane.places).all()


@given(top=st.floats(1e-3, 1e9), whole=st.booleans())
def test_an_axis_holds_what_is_drawn_and_has_few_labels(top, whole):
    end, found = ticks(top, whole=whole)
    assert not whole or end == int(end)
    assert end >= top * (1 - 1e-9)
    assert 2 <= len(found) <= 6
    assert (found[0].at, found[-1].at) == (0, 100)


def test_numbers_beside_an_axis_are_short():
    assert [short(number) for number in (0, 0.25, 999, 1250, 2_500_000)] == ["0", "0.25", "999", "1.25k", "2.5M"]


@given(series=st.lists(st.lists(st.floats(0, 10), min_size=3, max_size=3), min_size=1, max_size=4))
def test_shapes_stay_in_their_square(series):
    top = max(sum(values) for values in zip(*series, strict=True)) or 1.0
    for path in stacked(series, top):
        numbers = [float(text) for text in re.findall(r"-?[\d.]+", path)]
        assert all(-1e-2 <= number <= 100.01 for number in numbers)


def test_a_bar_of_nothing_is_not_drawn():
    assert bars([0, 1, 0], 1, gap=0).count("M") == 1


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (100, 7), (7, 1)])
def test_what_is_spread_is_ordered_and_reaches_from_end_to_end(count, most):
    found = spread(list(range(count)), most)
    assert found == sorted(set(found))
    assert len(found) == min(count, most)
    if most > 1 and count:
        assert (found[0], found[-1]) == (0, count - 1)


@pytest.fixture
def files(tmp_path):
    """Three parts of 40 rows; the tests' encoder makes a token of each letter."""
    record = a_record(tmp_path / "t")
    made = []
    for job in range(3):
        said = [f"{'x' * (row % 7)}{job}{row}" for row in range(40)]
        path = write_job(record, job, a_payload(said, ids=[f"{job}-{row}" for row in range(40)]), first=job * 40)
        made.append(LiveFile(path, 40, 0))
    return made


def test_lengths_are_those_of_all_rows(files):
    found = token_lengths(files)
    said = [len(f"{'x' * (row % 7)}{job}{row}") for job in range(3) for row in range(40)]
    assert found.counts.tolist() == np.bincount(said).tolist()
    assert found.truncated == sum(length > 5 for length in said)
    assert found.quantile(0.5) == sorted(said)[59]
    assert found.mean == pytest.approx(np.mean(said))
    chart = drawings.lengths(found, limit=6)
    assert sum(int(tip.tip.split(": ")[1].split()[0]) for tip in chart.hovers) == 120
    assert chart.line.label == "cut at 6"
    assert 0 < chart.line.at <= 100


def test_neighbours_are_the_nearest_of_all_rows(files):
    sample = take_sample(files, Coding())
    assert (sample.looked_at, len(sample.rows), sample.files) == (120, 120, 3)
    ids = sample.rows.column("id").to_pylist()
    scores = sample.vectors @ sample.vectors.T
    checks = list(spot_checks(sample, files, Coding()))
    assert len(checks) == 6
    for check in checks:
        own = ids.index(check.row["id"])
        order = [ids[at] for at in np.argsort(-scores[own]) if at != own][:5]
        assert [one.row["id"] for one in check.nearest] == order
        assert check.nearest[0].score == pytest.approx(np.sort(scores[own])[-2], abs=1e-6)


def test_fills_are_added_up_and_full_ones_are_shown():
    chart = drawings.batches([a_job(0, 1, batch_fill={20: 3, 19: 1}), a_job(0, 1, batch_fill={2: 4})])
    assert chart.hovers[-1].tip == "95% to 100% full: 4 batches (50.0%)"
    assert chart.hovers[2].tip == "10% to 15% full: 4 batches (50.0%)"
    assert drawings.batches([a_job(0, 1)]) is None
