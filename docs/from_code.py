"""What the site makes of the code itself: the reference of commands and records."""

import importlib
from collections.abc import Iterator
from typing import Any

import click

from producer.__main__ import cli
from schemas.record import Record

_RECORDS = (
    ("producer.result", "Result"),
    ("schemas.run", "RunRecord"),
    ("schemas.run", "SourceOptions"),
    ("schemas.run", "Changes"),
    ("schemas.receipt", "Receipt"),
    ("schemas.receipt", "StageSeconds"),
    ("schemas.spec", "Spec"),
    ("schemas.spec", "Module"),
)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page, before it is rendered."""
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", "\n".join(_commands(cli, "vecmill")))
    if "<!-- records -->" in markdown:
        markdown = markdown.replace("<!-- records -->", "\n".join(_records()))
    return markdown


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _commands(inner, f"{name} {inner.name}")
        return
    context = click.Context(command, info_name=name)
    said, _, examples = (command.help or "").partition("\b\n")
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"### {name}", "", f"`{name} {usage}`", "", _prose(said), "")
    yield from ("```sh", *(line.strip() for line in examples.splitlines() if line.strip()), "```", "")
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    rows = [record for option in options if (record := option.get_help_record(context)) is not None]
    if rows:
        yield from ("| option | |", "| --- | --- |")
        yield from (f"| `{_cell(option)}` | {_cell(help_)} |" for option, help_ in rows)
        yield ""


def _records() -> Iterator[str]:
    for module, name in _RECORDS:
        record: type[Record] = getattr(importlib.import_module(module), name)
        yield from (f"### {name}", "", _prose(record.__doc__ or ""), "")
        yield from ("| field | type | where it is left out |", "| --- | --- | --- |")
        for field, info in record.model_fields.items():
            default = "" if info.is_required() else f"`{_cell(str(info.get_default(call_default_factory=True)))}`"
            yield f"| `{field}` | `{_cell(_type(info.annotation))}` | {default} |"
        yield ""


def _type(annotation: Any) -> str:
    plain = annotation.__name__ if isinstance(annotation, type) and not hasattr(annotation, "__args__") else None
    return plain or str(annotation).replace("typing.", "").replace("schemas.", "").replace("producer.", "")


def _prose(text: str) -> str:
    """A docstring as Markdown: paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
