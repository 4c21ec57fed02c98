"""What `-- embed ARGS...` of `vecmill schedule add` asks: read by the parser of `embed`, kept as data."""

from urllib.parse import urlsplit

import click

from producer.commands.embed import embed, request_from
from producer.request import EmbedRequest, Where
from producer.start import absolute_source
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.model_name import folder_named

#: What only means something where a command is typed; of a scheduled run `vecmill serve` decides it.
_NOT_SCHEDULED = {
    "broker": "--broker", "workers": "--workers", "device": "--device", "run_id": "--run-id", "detach": "--detach",
    "dry_run": "--dry-run", "as_json": "--json",
}  # fmt: skip


def scheduled(command: tuple[str, ...]) -> EmbedRequest:
    """The request, the same wherever it is read again: no relative path, no place to run, no password."""
    if command[:1] != ("embed",):
        raise UsageError("only embed can be scheduled", way_out="... -- embed SOURCE --model MODEL --to TABLE")
    context = embed.make_context("vecmill embed", list(command[1:]))
    given = [option for name, option in _NOT_SCHEDULED.items() if _typed(context, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be scheduled: where and how a run is done is up to `vecmill serve`",
            way_out="leave it out",
        )
    request = request_from(**context.params)
    for path in (*request.source.paths, request.to):
        if "://" in path and urlsplit(path).password is not None:
            raise UsageError("a schedule must hold no password", way_out="give it to `vecmill serve`, not in the path")
    folder = folder_named(request.model.model)
    model = request.model if folder is None else request.model.model_copy(update={"model": str(folder)})
    here = {"to": normal(request.to), "model": model, "where": Where()}
    return absolute_source(request).model_copy(update=here)


def _typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
