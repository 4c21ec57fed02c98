"""The site builds without a warning, its reference is the code's, and what its pages compute is so."""

import importlib.util
import os
import re
import subprocess
import sys

import click
import pytest

from schemas.receipt import Receipt
from schemas.run import RunRecord
from schemas.spec import Spec
from tests.contract.test_help import COMMANDS
from tests.contract.test_readme import ROOT, blocks

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def reference():
    """The reference as MkDocs gets it."""
    spec = importlib.util.spec_from_file_location("from_code", DOCS / "from_code.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    assert hook.on_page_markdown("another page") == "another page"
    return hook.on_page_markdown((DOCS / "reference.md").read_text())


def test_every_command_and_option_is_in_the_reference(reference):
    for path, command in COMMANDS.items():
        if isinstance(command, click.Group):
            continue
        (part,) = re.findall(rf"^### vecmill {' '.join(path)}$(.*?)(?=^##)", reference, re.MULTILINE | re.DOTALL)
        assert re.search(r"^```sh\n(export .*\n)?vecmill ", part, re.MULTILINE)
        for option in (one for one in command.params if isinstance(one, click.Option)):
            assert f"`{', '.join(option.opts)}" in part, (path, option.opts)
    assert "\b" not in reference
    assert "\\b" not in reference


@pytest.mark.parametrize("record", [RunRecord, Receipt, Spec])
def test_every_field_is_in_the_reference(reference, record):
    part = reference.partition(f"### {record.__name__}\n")[2].partition("\n### ")[0]
    assert [line.split("`")[1] for line in part.splitlines() if line.startswith("| `")] == list(record.model_fields)


@pytest.mark.parametrize("page", ["pooling.md", "pooling.zh.md"])
def test_the_arithmetic_of_pooling_is_right(page):
    found = blocks((DOCS / page).read_text(), "python")
    assert len(found) == 2
    exec("\n".join(found), {})


def test_the_chinese_page_says_what_the_english_one_does():
    pages = [(DOCS / name).read_text() for name in ("pooling.md", "pooling.zh.md")]
    headings, numbers, options = (
        [re.findall(pattern, page, re.MULTILINE) for page in pages]
        for pattern in (r"^(#+) ", r"\d+(?:\.\d+)?%", r"`(--[a-z-]+)")
    )
    assert headings[0] == headings[1]
    assert numbers[0] == numbers[1]
    assert sorted(set(options[0])) == sorted(set(options[1]))


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    built = {path.parent.name for path in (tmp_path / "site").glob("*/index.html")}
    assert {page for page in pages if "." not in page} <= built
    assert not list((tmp_path / "site").rglob("*.py"))
    home = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk\.github\.io)[^"]+\.(?:js|css|woff2?)', home)
