"""The interpreter, and the packages that Vecmill asks for. Imports none of them."""

import platform
import sys
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from producer.doctor.check import Check

_WORKER_EXTRA = "worker"


def look_at_packages() -> Iterator[Check]:
    """The interpreter and every package that is asked for, by what the installed Vecmill says of itself."""
    system = f"{platform.system()} {platform.machine()}"
    yield Check(subject="python", verdict="good", said=f"{platform.python_version()} on {system}: {sys.executable}")
    asked = [Requirement(text) for text in metadata.requires("vecmill") or ()]
    base = [one for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
    yield from _of("packages", base, missing="problem", install="pip install vecmill")
    worker = [one for one in asked if one not in base and one.marker and one.marker.evaluate({"extra": _WORKER_EXTRA})]
    # Without them this machine can still read tables, and begin runs that other machines work on.
    yield from _of(
        "worker", worker, missing="warning", install="pip install 'vecmill[worker]', to embed on this machine"
    )


def _of(subject: str, asked: list[Requirement], *, missing: str, install: str) -> Iterator[Check]:
    installed = {one.name: _version(one.name) for one in asked}
    lacking = [name for name, version in installed.items() if version is None]
    others = [
        f"{one.name} {version}, not {one.specifier}"
        for one in asked
        if (version := installed[one.name]) is not None and not one.specifier.contains(version, prereleases=True)
    ]
    if lacking:
        said = f"not installed: {', '.join(lacking)}"
        yield Check.model_validate({"subject": subject, "verdict": missing, "said": said, "way_out": install})
    for said in others:
        yield Check(subject=subject, verdict="problem", said=f"this is {said}", way_out=install)
    if not lacking and not others:
        found = ", ".join(f"{name} {version}" for name, version in installed.items())
        yield Check(subject=subject, verdict="good", said=found)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
