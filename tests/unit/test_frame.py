"""The picture that `status --watch` draws of a moment."""

import io

from rich.console import Console

from producer.frame import Frame
from producer.ledger import Progress
from producer.moment import Moment, RunMoment
from schemas.ledger import Heartbeat
from schemas.receipt import COUNTERS
from tests.unit.parts import a_record


def a_moment(at=0.0, *, rows=0, state="running", failed=0, driven=True, workers=True, runs=("one",), **progress):
    counters = dict.fromkeys(COUNTERS, 0) | {"rows": rows, "tokens": rows * 10, "failed": failed}
    fields = {"jobs": None, "enqueued": 9, "done": 3, "dead": 0, "leased": 2, "sent": 1, "first_claim": 0.0, **progress}
    said = Progress(state=state, counters=counters, at=at, **fields)
    beat = Heartbeat(
        worker="host:1", at=at, device="cuda:0", in_flight=2, models=("/models/mini",), rows=rows, tokens=rows * 10
    )
    listed = tuple(RunMoment(a_record("t", run, rows=1000), said, driven) for run in runs)
    return Moment(listed, (beat,) if workers else (), queued=4, unacknowledged=2, malformed=0)


def drawn(*moments, away=None, width=160):
    """What is on the terminal after some moments."""
    console, frame = Console(file=io.StringIO(), width=width, force_terminal=False), Frame("redis://queue:6379/0")
    for moment in moments[:-1]:
        console.print(frame.draw(moment, width=width), end="")
        console.file.truncate(0)
        console.file.seek(0)
    console.print(frame.draw(moments[-1], width=width, away_seconds=away))
    return console.file.getvalue()


def test_runs_workers_and_queue_are_shown_with_their_rates():
    text = drawn(a_moment(0.0), a_moment(10.0, rows=500))
    for words in ("redis://queue:6379/0", "4 queued, 2 in hand", "1 worker", "500/1,000",
                  "host:1", "cuda:0", "mini", "10s"):  # fmt: skip
        assert words in text, words
    (run,) = (line for line in text.splitlines() if line.startswith("one"))
    assert run.split()[-6:] == ["50%", "500/1,000", "50", "500", "10s", "2"]
    (worker,) = (line for line in text.splitlines() if line.startswith("host:1"))
    assert worker.split() == ["host:1", "cuda:0", "2", "50", "500", "mini"]


def test_a_narrow_terminal_cuts_nothing_off():
    moments = [a_moment(at, rows=rows, runs=("nightly-20261124T020000Z",)) for at, rows in ((0.0, 0), (10.0, 500))]
    text = drawn(*moments, width=80)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80
    for words in ("nightly-20261124T020000Z", "running", "50%", "500/1k", "10s"):
        assert words in text, words


def test_what_is_wrong_is_said():
    text = drawn(a_moment(failed=7, driven=False, dead=1, workers=False)._replace(malformed=3))
    for words in (
        "7 failed rows",
        "1 dead jobs",
        "vecmill resume one",
        "no worker gives a sign of life",
        "3 malformed",
    ):
        assert words in text, words
    assert "no runs" in drawn(a_moment(runs=()))


def test_a_redis_that_is_away_leaves_the_last_picture():
    text = drawn(a_moment(rows=500), away=125.0)
    assert "Redis has not answered for 2m05s" in text
    assert "500/1,000" in text


def test_a_reason_is_no_markup():
    assert "[red]no[/red] such [model]" in drawn(a_moment(state="failed", reason="[red]no[/red] such [model]"))


def test_of_many_runs_that_have_ended_some_are_shown():
    text = drawn(a_moment(state="committed", runs=tuple(f"run-{at}" for at in range(9))))
    assert "run-8" in text
    assert "run-3" not in text
    assert "and 4 more that have ended" in text
