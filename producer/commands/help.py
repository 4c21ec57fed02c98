"""What the help texts of all commands share."""

import click


def keep_lines(command: click.Command) -> None:
    r"""Turn the two characters `\b` before an example into click's mark for lines that are not to be joined.

    The docstrings are raw, so that they can show a `\n` as it is typed.
    """
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        keep_lines(inner)
