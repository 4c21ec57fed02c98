"""`vecmill report`."""

import click

from producer import records
from producer.report import tell, write_report
from producer.table import read_record
from schemas.errors import UsageError
from schemas.files.address import normal
from schemas.run import RunRecord


@click.command()
@click.argument("run_or_table")
@click.option("--run", metavar="RUN", help="Which run of the table; default the latest that had rows to embed.")
@click.option("--html", "--to", "html", metavar="FILE", help="Where to write the page; default report-RUN.html here.")
def report(run_or_table: str, run: str | None, html: str | None) -> int:
    r"""Write a page about a run: what it did when, lengths, failed rows, a map of the vectors. It needs no network.

    \b
    vecmill report out/ --to report.html
    vecmill report out/ --run 20261124-0300-a1b2c3 --to report.html
    """
    record = _recorded(run_or_table, run)
    path = normal(html or f"report-{record.run}.html")
    write_report(tell(record), path)
    click.echo(path)
    return 0


def _recorded(run_or_table: str, run: str | None) -> RunRecord:
    if run is None:
        latest = records.find(run_or_table)
        # The latest run of a table may have found nothing to do, and then has nothing to tell.
        telling = (one for one in records.of_table(latest.table) if one.rows_to_embed)
        return latest if latest.run == run_or_table else next(telling, latest)
    found = read_record(normal(run_or_table), run)
    if found is None:
        raise UsageError(f"no run {run!r} is recorded in {run_or_table}", way_out=f"vecmill runs {run_or_table}")
    return found
