"""The Python interface: what the command line does, for programs."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from producer.carry_out import carry_out
from producer.display import Silent
from producer.request import EmbedRequest, Where
from producer.result import Result
from producer.start import begin, recorded
from producer.table import read
from schemas.errors import UsageError
from schemas.run import SourceOptions
from schemas.spec import ModelOptions

__all__ = ["embed", "read"]


def embed(source: str | Path | Sequence[str | Path], *, model: str | Path, to: str | Path, **options: Any) -> Result:
    """Embed files, folders or globs into the table `to`, and return what came of it.

    `options` are those of `vecmill embed`, with underscores: `id_column`, `text_column`, `deleted_column`, `keep`
    (a list), `keep_text`, `limit`, `format`; `revision`, `prompt`, `prompt_name`, `task`, `pooling`, `normalize`,
    `dims`, `max_tokens`, `dtype`, `trust_remote_code`; `store`, `mode`, `on_truncate`, `run_id`; `broker` (None:
    embedded), `workers`, `device`.

    Raises `schemas.errors.VecmillError` or one of its kinds; an unknown option is a `UsageError`.
    """
    given = {**options, "paths": _paths(source), "model": str(model), "to": str(to)}
    request = _request(given)
    display = Silent()
    record = recorded(request) or begin(request, display)
    return carry_out(record, request.where, display)


def _paths(source: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    paths = [source] if isinstance(source, str | Path) or not isinstance(source, Iterable) else source
    for place, path in enumerate(paths):
        if not isinstance(path, str | Path):
            raise UsageError(
                f"source {place} is of type {type(path).__name__}, not a path", way_out="give files, folders or globs"
            )
    return tuple(map(str, paths))


def _request(given: dict[str, Any]) -> EmbedRequest:
    parts = {kind: _take(given, kind) for kind in (SourceOptions, ModelOptions, Where)}
    try:
        return EmbedRequest(
            source=SourceOptions(**parts[SourceOptions]),
            model=ModelOptions(**parts[ModelOptions]),
            where=Where(**parts[Where]),
            **given,
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"option {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _take(given: dict[str, Any], kind: type[SourceOptions] | type[ModelOptions] | type[Where]) -> dict[str, Any]:
    """Move the options of one record out of all that were given."""
    taken = {name: given.pop(name) for name in list(given) if name in kind.model_fields}
    if "keep" in taken:
        taken["keep"] = tuple(taken["keep"])
    return taken
