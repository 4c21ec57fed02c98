"""Every command's help, as a terminal shows it: examples stand on lines of their own, and are understood."""

import shlex

import click
import pytest
from click.testing import CliRunner

from producer.__main__ import cli
from tests.contract.commandline import understood


def named(command, path=()):
    """Every command with the words that call it."""
    found = {path: command}
    for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
        found |= named(inner, (*path, name))
    return found


COMMANDS = named(cli)


def shown(path):
    done = CliRunner().invoke(cli, [*path, "--help"], terminal_width=100, color=False)
    assert done.exit_code == 0, done.output
    return done.output


def examples(path):
    """The lines of the help that are commands."""
    return [line.strip() for line in shown(path).splitlines() if line.startswith("  vecmill ")]


def test_the_commands_were_found():
    assert len(COMMANDS) >= 23
    assert {("embed",), ("schedule", "add"), ("doctor",)} <= COMMANDS.keys()


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_mark_of_the_formatter_is_shown(path):
    assert "\b" not in shown(path)
    assert "\\b" not in shown(path)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_there_is_an_example_that_is_understood(path):
    found = examples(path)
    assert found
    words = [shlex.split(line)[1:] for line in found]
    assert any(tuple(one[: len(path)]) == path for one in words), found
    for one in words:
        understood([word for word in one if word != "..."])


def test_an_example_keeps_what_is_typed():
    assert '--text-column "{title}\\n\\n{body}"' in "\n".join(examples(("embed",)))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell):
    """Of click itself; the documentation says how a shell asks for it."""
    script = CliRunner().invoke(cli, env={"_VECMILL_COMPLETE": f"{shell}_source"}, prog_name="vecmill")
    assert script.exit_code == 0
    assert "_VECMILL_COMPLETE" in script.output


def test_commands_and_choices_are_completed():
    def completed(words, count):
        env = {"_VECMILL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(count)}
        return [
            line.split(",")[1] for line in CliRunner().invoke(cli, env=env, prog_name="vecmill").output.splitlines()
        ]

    assert completed("vecmill re", 1) == ["report", "restore", "resume", "retry"]
    assert completed("vecmill embed x --mode ", 4) == ["upsert", "sync", "replace"]
