"""Writing a report: the page's template filled with a story. What comes from the corpus is escaped by the template.

The page's own script is allowed by its hash, and nothing else: even a text that slipped through would not run, and
nothing is fetched from anywhere.
"""

import base64
import hashlib
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from producer.display import duration, short
from producer.report.page import page
from producer.report.story import Story
from schemas.errors import UsageError
from schemas.files import written


def write_report(story: Story, path: str) -> None:
    """One HTML file, whole or not at all."""
    text = render(story)
    try:
        with written(path) as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}", way_out="--to FILE") from error


def render(story: Story) -> str:
    """The page as text."""
    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(number="{:,.0f}".format, share="{:.1%}".format, duration=duration, short=short)
    script, style = _source("script.js"), _source("style.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    facts: dict[str, Any] = {"script": script, "style": style, "script_hash": digest, **page(story)}
    return environment.get_template("page.html.j2").render(facts)


_source = partial(lambda folder, name: files(folder).joinpath(name).read_text(encoding="utf-8"), __package__)
