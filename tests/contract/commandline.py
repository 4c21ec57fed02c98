"""Asks the real command line whether it would understand a command, without running it."""

import contextlib

import click

from producer.__main__ import cli


def understood(arguments: list[str]) -> None:
    """Raise `click.UsageError` where `vecmill ARGUMENTS...` would be refused for its form."""
    command: click.Command | None = cli
    rest, name = list(arguments), "vecmill"
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name, command, rest = command.resolve_command(click.Context(command), rest)
    assert command is not None
    # `--help` ends by itself, before anything is checked.
    with contextlib.suppress(click.exceptions.Exit):
        command.make_context(name, rest)
