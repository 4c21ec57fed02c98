"""The names of metrics, and that the dashboard asks for no other."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry

from schemas import metrics
from schemas.errors import UsageError
from schemas.exposition import Exposed, family, single
from schemas.receipt import Totals
from tests.unit.parts import a_receipt, a_record
from worker.tally import Tally

BOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana.json").read_text())
ALL = {metric.name: metric for metric in (*metrics.OF_WORKER, *metrics.OF_SERVICE)}
#: What prometheus_client's own collector says of a process, and PromQL's words that look like a name.
PROCESS = {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def expressions():
    return [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_names_follow_prometheus():
    assert len(ALL) == len(metrics.OF_WORKER) + len(metrics.OF_SERVICE)
    for metric in ALL.values():
        assert re.fullmatch(r"vecmill_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.meaning.endswith(".")
    assert set(metrics.OF_RECEIPTS) <= set(Totals.model_fields)


def test_the_docs_list_every_metric_as_it_is():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    listed = dict(re.findall(r"^\| `(vecmill_\w+)`[^|]* \| ([^|]+) \|$", page, re.MULTILINE))
    assert listed == {metric.name: metric.meaning for metric in ALL.values()}


def test_the_dashboard_asks_for_what_there_is():
    named = set(re.findall(r"\b(?:vecmill|process)_\w+", " ".join(expressions())))
    assert len(named) > 20
    assert named <= set(ALL) | PROCESS
    # And leaves out nothing but where it is used as part of another panel.
    assert {name for name in ALL if name not in named} <= {
        "vecmill_models_loaded", "vecmill_runs", "vecmill_run_leases", "vecmill_run_jobs_done",
    }  # fmt: skip


def test_the_dashboard_groups_by_labels_that_there_are():
    labels = {label for metric in ALL.values() for label in metric.labels} | {"instance"}
    for expression in expressions():
        for group in re.findall(r"(?:by|on) \(([\w, ]+)\)", expression):
            assert set(group.split(", ")) <= labels


def test_panels_lie_beside_each_other_and_take_the_chosen_source():
    taken = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert [one["type"] for one in BOARD["templating"]["list"]] == ["datasource"]


def test_rates_are_taken_of_counters_only():
    for expression in expressions():
        for name in re.findall(r"(?:rate|increase)\((\w+)", expression):
            assert name in PROCESS or ALL[name].kind == "counter"


class Two:
    def collect(self):
        yield single(metrics.QUEUED, 3)
        yield family(metrics.JOBS, [(("done",), 2), (('odd"\n',), 1)])


def test_what_is_exposed_is_what_was_measured():
    registry = CollectorRegistry()
    registry.register(Two())
    text = generate_latest(registry).decode()
    assert "\nvecmill_queue_messages 3.0\n" in text
    assert 'vecmill_jobs_total{outcome="done"} 2.0' in text
    assert r'vecmill_jobs_total{outcome="odd\"\n"} 1.0' in text


def test_a_port_that_is_taken_is_said_to_be():
    first = Exposed(Two(), host=metrics.LOOPBACK, port=0)
    try:
        port = int(first.url.split(":")[2].split("/")[0])
        with pytest.raises(UsageError, match=f"port {port}"):
            Exposed(Two(), host=metrics.LOOPBACK, port=port)
    finally:
        first.close()


def test_a_tally_is_the_sum_of_its_receipts():
    tally = Tally()
    for rows in (3, 4):
        tally.add(a_receipt(a_record("t")).model_copy(update={"rows": rows, "tokens": 10 * rows, "batches": 1}))
        tally.count("done")
    assert (tally.totals.rows, tally.totals.tokens, tally.totals.batches) == (7, 70, 2)
    assert tally.outcomes == {"done": 2, "given_back": 0, "declined": 0}
