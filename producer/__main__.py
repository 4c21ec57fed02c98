"""`vecmill`: the command line. The only place that turns errors into exit codes."""

import logging
import os
import sys

import click
import redis

from producer.commands.doctor import doctor
from producer.commands.embed import embed
from producer.commands.help import keep_lines
from producer.commands.model import inspect
from producer.commands.report import report
from producer.commands.runs import cancel, pause, resume, retry, runs
from producer.commands.schedule import schedule
from producer.commands.serve import serve
from producer.commands.status import status
from producer.commands.table import history, query, verify
from producer.commands.upkeep import compact, restore, vacuum
from producer.commands.worker import worker
from schemas.errors import UsageError, VecmillError
from schemas.files.room import about_disk
from schemas.text import is_unicode

_COMMANDS = [
    *(embed, worker, serve, schedule, status, runs, pause, resume, cancel, retry),
    *(report, history, restore, compact, vacuum, query, verify, inspect, doctor),
]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="vecmill")
def cli() -> None:
    r"""Bulk text embedding: a corpus goes in, a committed table of vectors comes out.

    \b
    vecmill embed corpus/*.parquet --model BAAI/bge-small-en-v1.5 --to out/
    vecmill query out/ "how do I sort a list?"
    """


for _command in _COMMANDS:
    cli.add_command(_command)
keep_lines(cli)


def check_words(words: list[str]) -> None:
    """Refuse what was typed in another encoding: it could be no path in a table, and no message could show it."""
    for number, word in enumerate(words):
        if not is_unicode(word):
            raise UsageError(f"argument {number} is not valid UTF-8", way_out="rename the file, or set LC_ALL=C.UTF-8")


def main() -> None:
    """Run the command line; every error becomes a message that says what to do, and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        check_words(sys.argv)
        code = cli.main(prog_name="vecmill", standalone_mode=False)
    except VecmillError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except redis.RedisError as error:
        # Where a command has no better answer: no text and no address of it is in what Redis says.
        click.echo(f"error: Redis does not do what it is asked: {error}", err=True)
        click.echo("check it (redis-cli PING, INFO memory), then repeat the command; what is written stays", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"error: {about_disk(error)}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("VECMILL_DEBUG") == "1":
            raise
        click.echo(f"error: a fault of Vecmill's own, {type(error).__name__}; what is written stays", err=True)
        click.echo("VECMILL_DEBUG=1 shows where, with values of yours, for a report", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
