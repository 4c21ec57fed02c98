"""Log records: their formats, and that each of ours has a name that the docs list."""

import ast
import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest

from schemas.logs import FOREIGN, JsonFormatter, LineFormatter, configure_logs

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def record(message="said %s", *args, **extra):
    made = logging.getLogger("worker.x").makeRecord("worker.x", logging.INFO, "f", 1, message, args or ("so",), None)
    made.__dict__.update(extra)
    return made


def test_json_is_one_line_whatever_is_said():
    line = JsonFormatter({"worker": "w"}).format(record('a\n"b" \u2028 é %s', action="job_done", run="r", job=3))
    assert len(line.split("\n")) == 1
    said = json.loads(line)
    assert said["message"] == 'a\n"b" \u2028 é so'
    assert {name: said[name] for name in ("level", "logger", "action", "worker", "run", "job")} == {
        "level": "info", "logger": "worker.x", "action": "job_done", "worker": "w", "run": "r", "job": 3,
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["at"])


def test_a_traceback_stays_in_its_object():
    try:
        raise ValueError("broken")
    except ValueError:
        made = record(action="boot_failed")
        made.exc_info = sys.exc_info()
    said = json.loads(JsonFormatter({}).format(made))
    assert "ValueError: broken" in said["exception"]


@pytest.mark.parametrize("form", [JsonFormatter({}), LineFormatter()])
def test_what_a_library_says_has_a_name_too(form):
    assert FOREIGN in form.format(record())


@pytest.fixture
def _logging_as_it_was():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.mark.usefixtures("_logging_as_it_was")
def test_configured_logs_go_to_stderr_once_and_leave_addresses_out(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    configure_logs("json")
    configure_logs("json")
    logging.getLogger("worker.y").info("one", extra={"action": "job_done"})
    logging.getLogger("httpx").info("GET https://host/?signature=secret")
    lines = sys.stderr.getvalue().splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one"]


def calls():
    """Every call of a logger in our code: where, and the node."""
    for side in ("schemas", "producer", "worker"):
        for path in sorted((ROOT / side).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS
                    and isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
                ):  # fmt: skip
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def names_in(node):
    """The texts of a call's `extra` that are names of actions."""
    (extra,) = (keyword.value for keyword in node.keywords if keyword.arg == "extra")
    texts = [one.value for one in ast.walk(extra) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return {text for text in texts if re.fullmatch(r"[a-z]+(_[a-z]+)+", text)}


def used():
    found = {"run_said", "schedule_said"}  # the two that `Logged` chooses between
    for _, node in calls():
        found |= names_in(node)
    return found


def test_every_record_of_ours_has_a_name():
    unnamed = [where for where, node in calls() if not [one for one in node.keywords if one.arg == "extra"]]
    assert unnamed == []
    assert len(list(calls())) > 15


def test_the_docs_list_every_name_and_no_other():
    page = (ROOT / "docs" / "operations.md").read_text()
    (table,) = re.findall(r"\| action \| .*?\n\n", page, re.DOTALL)
    listed = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == used() | {FOREIGN}
