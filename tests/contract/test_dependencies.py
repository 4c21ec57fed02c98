"""What is installed is what is pinned, and nothing of ours unpickles, evaluates, or reads code out of data."""

import ast
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = dict(
    (canonicalize_name(name), version)
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
    )
)
CODE = [path for side in ("producer", "worker", "schemas") for path in sorted((ROOT / side).rglob("*.py"))]
#: Modules whose data can be code, and what makes the functions that may load such data refuse it.
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "pandas"}
SAFE = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}


def needed(wanted: set[str] | None = None) -> dict[str, set[str]]:
    """Every distribution that ours needs with these extras of its own, else with all, and which extras of it."""
    found: dict[str, set[str]] = {}
    # The readers are installed in an environment of their own (`make test-readers`), by the same constraints.
    extras = wanted or {"", *metadata.metadata("vecmill").get_all("Provides-Extra")} - {"readers"}
    waiting = [("vecmill", extra) for extra in sorted(extras)]
    while waiting:
        name, extra = waiting.pop()
        if extra in found.setdefault(canonicalize_name(name), set()):
            continue
        found[canonicalize_name(name)].add(extra)
        for line in metadata.requires(name) or ():
            asked = Requirement(line)
            if asked.marker is None or asked.marker.evaluate({**default_environment(), "extra": extra}):
                waiting += [(asked.name, one) for one in ("", *asked.extras)]
    return found


def test_every_package_that_is_needed_is_installed_as_it_is_pinned() -> None:
    names = sorted(set(needed()) - {"vecmill"})
    assert len(names) > 60
    assert [name for name in names if name not in PINS] == []
    # A build may say what it was built for behind a plus.
    wrong = {name: metadata.version(name) for name in names if metadata.version(name).partition("+")[0] != PINS[name]}
    assert wrong == {}


def test_the_producer_alone_brings_nothing_of_the_engine() -> None:
    """What README says of its size stands on this: none of what is largest comes in by another's needs."""
    names = set(needed({""}))
    assert {"pyarrow", "deltalake", "duckdb", "numpy"} <= names
    assert names.isdisjoint({"torch", "transformers", "tokenizers", "triton", "pandas", "scipy", "datasets"})
    assert len(names) < 70


def test_pins_are_exact() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_can_make_code_of_data(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        imported = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        imported += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.partition(".")[0] for name in imported} & UNPICKLERS
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "__import__"}
            if called in SAFE:
                name, value = SAFE[called]
                given = {one.arg: ast.literal_eval(one.value) for one in node.keywords if one.arg == name}
                assert given == {name: value}, f"{called} without {name}={value}"
