"""`vecmill doctor`."""

import json

import click

from producer.commands.options import broker_option, device_option
from producer.doctor import Patient, examine
from producer.request import Where


@click.command()
@broker_option
@device_option
@click.option("--model", metavar="ID_OR_FOLDER", help="Also look at this model.")
@click.option("--to", metavar="TABLE", help="Also look whether this table can be written.")
@click.option("--json", "as_json", is_flag=True)
def doctor(broker: str | None, device: str, model: str | None, to: str | None, as_json: bool) -> int:
    r"""Look at all that a run needs here, and say what to do where something is wrong. Exit code 1 on any problem.

    \b
    vecmill doctor
    vecmill doctor --broker redis://:secret@queue-host:6379/0 --model BAAI/bge-m3 --to /data/out
    """
    verdicts = []
    for check in examine(Patient(broker=Where(broker=broker).broker_url, device=device, model=model, table=to)):
        verdicts.append(check.verdict)
        click.echo(json.dumps(check.model_dump()) if as_json else "\n".join(check.lines()))
    problems, warnings = verdicts.count("problem"), verdicts.count("warning")
    click.echo(f"{problems or 'no'} problem{'' if problems == 1 else 's'}, {warnings} warning"
               f"{'' if warnings == 1 else 's'}", err=True)  # fmt: skip
    return 1 if problems else 0
