"""How a command that carries out a run ends: summary, exit code, and what to type after a Ctrl-C."""

import time
from collections.abc import Callable

import click

from producer.commands.interrupt import INTERRUPTED, at_once_when_repeated
from producer.display import Display
from producer.result import Result

SOME_ROWS_FAILED = 3


def finish(work: Callable[[], Result], *, display: Display, run: str, started: float, as_json: bool) -> int:
    """Do the work and report it; returns the exit code."""

    def stopped() -> None:
        display.close()
        click.echo(f"stopped; what was embedded is kept. To go on: vecmill resume {run}", err=True)

    try:
        with at_once_when_repeated(stopped):
            result = work()
    except KeyboardInterrupt:
        stopped()
        return INTERRUPTED
    finally:
        display.close()
    result = result.model_copy(update={"seconds": round(time.monotonic() - started, 3)})
    for text in result.lines():
        click.echo(text, err=True)
    if as_json:
        click.echo(result.model_dump_json())
    return SOME_ROWS_FAILED if result.failed else 0
