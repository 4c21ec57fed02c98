"""`vecmill inspect`: what will happen to a text."""

import json
from typing import Any

import click

from producer import side_door
from producer.commands.options import device_option, model_from, model_options
from producer.explain import explain
from schemas.spec import Spec
from schemas.text import EXAMPLE


@click.command()
@click.argument("model")
@model_options
@device_option
@click.option("--text", default=EXAMPLE, help="The text to follow from its tokens to its vector.")
@click.option("--json", "as_json", is_flag=True)
def inspect(model: str, text: str, as_json: bool, **options: Any) -> int:
    r"""Say how MODEL (a hub id or a folder) turns a text into a vector, on this machine.

    \b
    vecmill inspect BAAI/bge-small-en-v1.5 --text "how do I sort a list?"
    """
    facts = side_door.inspect(model_from(options, model), device=options["device"], text=text)
    spec = Spec.model_validate(facts["spec"])
    click.echo(json.dumps(facts, ensure_ascii=False) if as_json else "\n".join(explain(spec, facts)))
    return 0
