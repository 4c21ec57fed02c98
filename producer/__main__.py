"""`vecmill`: the command line. The only place that turns errors into exit codes."""

import logging
import sys

import click
import redis

from producer.commands.embed import embed
from producer.commands.model import inspect
from producer.commands.report import report
from producer.commands.runs import cancel, pause, resume, retry, runs
from producer.commands.schedule import schedule
from producer.commands.serve import serve
from producer.commands.status import status
from producer.commands.table import history, query, verify
from producer.commands.upkeep import compact, restore, vacuum
from producer.commands.worker import worker
from schemas.errors import VecmillError

_COMMANDS = [
    *(embed, worker, serve, schedule, status, runs, pause, resume, cancel, retry),
    *(report, history, restore, compact, vacuum, query, verify, inspect),
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


def main() -> None:
    """Run the command line; every error becomes a message that says what to do, and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        code = cli.main(standalone_mode=False)
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
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
