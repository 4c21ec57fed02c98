"""What the Makefile's targets run is there."""

import re
from importlib.util import find_spec
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()


def targets():
    return set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))


def test_every_target_that_is_no_file_is_phony():
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == targets()
    assert {"install", "check", "test", "demo", "bench"} <= targets()


def test_every_module_that_is_run_is_there():
    modules = re.findall(r"python -m ([\w.]+)", MAKEFILE)
    assert "benchmarks.peers" in modules
    assert [module for module in modules if find_spec(module) is None] == []
