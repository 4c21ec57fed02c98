"""Options that several commands share, and what they turn into."""

import re
from collections.abc import Callable
from typing import Any, get_args

import click
from rich.console import Console

from producer.broker import without_password
from producer.display import Display, open_display
from producer.request import Where
from schemas.logs import FORMATS
from schemas.metrics import LOOPBACK
from schemas.spec import Dtype, ModelOptions, PoolingMode, Task

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_MODEL_FIELDS = (
    *("revision", "prompt", "prompt_name", "task", "pooling", "normalize", "dims", "max_tokens", "dtype"),
    "trust_remote_code",
)


def together(*decorators: Decorator) -> Decorator:
    """Several click options as one decorator."""

    def apply(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply


trust_option = click.option(
    "--trust-remote-code", is_flag=True, help="Run code that a model brings. Only for models you trust."
)
model_options = together(
    click.option("--revision", help="Branch, tag or commit of a hub model."),
    click.option("--prompt", help="Text put before every text, as it is."),
    click.option("--prompt-name", help="One of the prompts that the model's files name."),
    click.option("--task", type=click.Choice(get_args(Task)), help="Use the model's own prompt for this side."),
    click.option("--pooling", type=click.Choice(get_args(PoolingMode)), help="Override the model's own pooling."),
    click.option("--normalize/--no-normalize", default=None, help="Override whether vectors have length 1."),
    click.option("--dims", type=click.IntRange(min=1), help="Keep only the first N dimensions (Matryoshka models)."),
    click.option("--max-tokens", type=click.IntRange(min=1), help="Cut texts at N tokens."),
    click.option(
        "--dtype", type=click.Choice(get_args(Dtype)), default="auto", show_default=True,
        help="Numbers to compute with; auto: bfloat16 where the device is faster in it, else float32; int8: CPU only.",
    ),
    trust_option,
)  # fmt: skip


def _without_secret(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    if url is not None and without_password(url) != url:
        click.echo(
            "warning: every user of this machine can read the password in --broker; put the address into "
            "VECMILL_BROKER_URL instead",
            err=True,
        )
    return url


broker_option = click.option(
    "--broker", metavar="URL", callback=_without_secret,
    help="redis://...; else VECMILL_BROKER_URL, which is the place for one with a password; else embedded.",
)  # fmt: skip


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", value) is None:
        raise click.BadParameter(f"{value!r} is not auto, cpu, cuda or cuda:N")
    return value


device_option = click.option(
    "--device", default="auto", show_default=True, callback=_device, help="auto, cpu, cuda or cuda:N."
)
metrics_options = together(
    click.option("--metrics-port", type=click.IntRange(0, 65535), metavar="P",
                 help="Serve /metrics for Prometheus there; 0: any free port."),
    click.option("--metrics-host", default=LOOPBACK, show_default=True, metavar="H",
                 help="The address that /metrics is served at; it asks for no password."),
)  # fmt: skip
log_option = click.option("--log-format", type=click.Choice(FORMATS), default="lines", show_default=True,
                          help="Lines for people, or a JSON object a line.")  # fmt: skip
where_options = together(
    broker_option,
    click.option("--workers", type=click.IntRange(min=1), help="Embedded workers; default one per GPU or core."),
    device_option,
)


def model_from(options: dict[str, Any], model: str) -> ModelOptions:
    """The model options out of a command's options."""
    return ModelOptions(model=model, **{name: options[name] for name in _MODEL_FIELDS})


def where_from(options: dict[str, Any]) -> Where:
    """Where to run, out of a command's options."""
    return Where(broker=options["broker"], workers=options["workers"], device=options["device"])


def stderr_display() -> Display:
    """Progress and messages, on stderr."""
    return open_display(Console(stderr=True))
