"""What `status` says of a run in one line."""

from producer.status import RunStatus


def a_status(**facts) -> RunStatus:
    counts = dict.fromkeys(
        ("rows", "rows_done", "failed", "jobs_done", "jobs_dead", "in_flight", "queued", "workers"), 0
    )
    named = {"run": "nightly", "table": "/t", "state": "committed", "source": "table", "version": 2}
    return RunStatus(**counts | named | facts)


def test_a_run_without_a_text_to_encode_is_not_at_zero_percent():
    assert "nightly  committed  no text to encode  7 rows get a vector of the same text" in a_status(twins=7).line()
    assert "%" not in a_status().line()
    assert "1/4 rows (25%)  " in a_status(rows=4, rows_done=1).line()
