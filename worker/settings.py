"""What a worker is allowed to do and how it runs: its own settings, never a message's."""

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from pydantic import Field

from schemas.errors import UsageError, VecmillError
from schemas.files.address import is_remote, normal, within
from schemas.ledger import GRACE_SECONDS
from schemas.metrics import LOOPBACK
from schemas.record import Record
from schemas.run import RunRecord
from schemas.spec import Spec
from schemas.transport import listed


class Refused(VecmillError):
    """A run asks for what this worker's own settings do not allow."""


class WorkerSettings(Record):
    """The settings of one worker process; `from_env` reads them once, at its start."""

    broker_url: str
    device: str = "auto"
    allow_models: tuple[str, ...] = ("*",)
    allow_roots: tuple[str, ...]
    trust_remote_code: bool = False
    threads: int = Field(default=1, gt=0)
    metrics_host: str = LOOPBACK
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    grace_seconds: float = Field(default=GRACE_SECONDS, ge=0)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "WorkerSettings":
        """Read `VECMILL_*`; lists are separated by commas, or JSON where a name has one."""
        url = env.get("VECMILL_BROKER_URL")
        if not url:
            raise UsageError("no broker: VECMILL_BROKER_URL is not set", way_out="vecmill worker --broker redis://...")
        return cls(
            broker_url=url,
            device=env.get("VECMILL_DEVICE", "auto"),
            allow_models=_list(env, "VECMILL_ALLOW_MODELS") or ("*",),
            # A root that is no address must end the worker's start, not every job.
            allow_roots=tuple(normal(root) if is_remote(root) else root for root in _list(env, "VECMILL_ALLOW_ROOTS"))
            or (str(Path.cwd()),),
            trust_remote_code=env.get("VECMILL_TRUST_REMOTE_CODE") == "1",
            threads=int(env.get("VECMILL_THREADS", "1")),
            metrics_host=env.get("VECMILL_METRICS_HOST", LOOPBACK),
            metrics_port=int(env["VECMILL_METRICS_PORT"]) if "VECMILL_METRICS_PORT" in env else None,
            grace_seconds=float(env.get("VECMILL_GRACE_SECONDS", GRACE_SECONDS)),
        )

    def check(self, record: RunRecord) -> None:
        """Raise `Refused` where a run names a model, a place or a trust that these settings do not allow."""
        for model in filter(None, (record.spec.base, record.spec.model)):
            # A pattern matches letters, and `..` would lead out of the folder that it spells.
            if ".." in PurePath(model).parts or not any(fnmatchcase(model, one) for one in self.allow_models):
                raise Refused(
                    f"this worker may not load the model {model!r}", way_out=f"vecmill worker --allow-model {model!r}"
                )
        for path in _paths_in(record.spec):
            if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
                raise Refused(f"{path!r} leads out of the folder of {record.spec.model!r}", way_out="start a new run")
        self.check_place(record.table)
        if record.spec.trust_remote_code and not self.trust_remote_code:
            raise Refused(
                f"the model {record.spec.model!r} brings code of its own, which this worker does not run",
                way_out="vecmill worker --trust-remote-code, if you trust that code",
            )

    def check_place(self, place: str) -> None:
        """Raise `Refused` where a table, or a file of one, lies outside the allowed roots; links are followed."""
        try:
            allowed = any(within(place, root) for root in self.allow_roots)
        except UsageError as error:
            raise Refused(str(error)) from error
        except (ValueError, OSError, RuntimeError) as error:  # a NUL, a loop of links
            raise Refused(f"{place!r} is no place for a table: {error}") from error
        if allowed:
            return
        linked = not is_remote(place) and os.path.realpath(place) != os.path.abspath(place)
        raise Refused(
            f"this worker may not write to {place}{', which is behind a link' if linked else ''} "
            f"(allowed: {', '.join(self.allow_roots)})",
            way_out=f"vecmill worker --allow-root {os.path.dirname(place)}"
            if not linked
            else "see where the link leads",
        )


def _paths_in(spec: Spec) -> Iterator[str]:
    """What names files below a model's folder, or may."""
    for revision in (spec.revision, spec.base_revision):
        yield revision or ""
    for module in spec.modules:
        yield module.path
        for name, value in module.config.items():
            if name.endswith("_kwargs") and isinstance(value, dict):
                yield from (text for text in value.values() if isinstance(text, str))


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    try:
        return listed(env.get(name, ""))
    except ValueError as error:
        raise UsageError(f"{name} begins as a JSON list, but is none", way_out=f'{name}=["one","two"]') from error
