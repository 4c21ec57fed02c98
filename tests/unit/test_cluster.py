"""What becomes of a run's own workers when it ends."""

import pytest

from producer.embedded.cluster import LocalCluster
from producer.embedded.machine import Crew
from schemas.errors import RunFailed
from tests.unit.parts import a_record


class Seen:
    """In place of the workers: how each was told to stop."""

    def __init__(self):
        self.idle = []

    def stop(self, *, idle):
        self.idle.append(idle)


@pytest.mark.parametrize(("error", "idle"), [(None, True), (RunFailed("no"), False), (KeyboardInterrupt(), False)])
def test_workers_get_time_to_finish_jobs_only_where_some_may_be_in_flight(tmp_path, error, idle):
    cluster = LocalCluster(a_record(tmp_path / "table"), crew=Crew(1, 1), device="cpu")
    cluster._workers = workers = Seen()
    cluster.__exit__(type(error) if error else None, error, None)
    assert workers.idle == [idle]
