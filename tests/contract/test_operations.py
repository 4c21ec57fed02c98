"""docs/operations.md promises nothing without a test: each that it names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_is_named_is_there(path, name):
    assert name in functions(ROOT / path)


def promises():
    rows = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
    return [row for row in rows if len(row) == 4]


def test_every_promise_names_one():
    table = PAGE.partition("| fault | what it costs | shown by | what to do |")[2].partition("\n\n")[0]
    lines = table.strip().splitlines()[1:]
    assert len(lines) == len(promises()) >= 20
