"""A spec and how it would run here, in words: what happens to a text, step by step, and to one text as an example."""

import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from schemas.model_own import is_own
from schemas.spec import Module, Spec

_COLUMNS = 80
_SHOWN_TOKENS = 16
_SHOWN_MODES = 3

_POOLING = {
    "cls": "the vector of the first token ([CLS]) stands for the text",
    "mean": "the mean over all tokens stands for the text",
    "max": "the largest value of each dimension over all tokens",
    "mean_sqrt_len_tokens": "the sum over all tokens, divided by the square root of their number",
    "weightedmean": "the mean over all tokens, later ones weighing more (1, 2, 3, ...)",
    "lasttoken": "the vector of the last token, which alone has seen the whole text",
}


def explain(spec: Spec, facts: dict[str, Any]) -> Iterator[str]:
    """Lines for a person; `facts` are what the worker's side found when it loaded the model."""
    yield f"{spec.model}" + (f" at {spec.revision}" if spec.revision else "")
    yield f"fingerprint {spec.fingerprint}"
    for warning in spec.warnings:
        yield from _wrapped(f"warning: {warning}", "  ")
    yield from ("", "What happens to a text")
    yield from steps(spec, facts)
    yield from ("", "Prompts")
    yield from _prompts(spec, facts)
    yield from ("", "One text, from tokens to its vector")
    yield from _example(facts["example"])
    yield from ("", "On this machine")
    yield from _machine(facts)


def steps(spec: Spec, facts: dict[str, Any]) -> Iterator[str]:
    """From text to vector, numbered lines; without `facts` the network has no name."""
    *texts, outcome = step_texts(spec, facts)
    for number, step in enumerate(texts, start=1):
        yield from _wrapped(f"{number}. {step}", "     ", first="  ")
    yield from _wrapped(outcome, "  ")


def step_texts(spec: Spec, facts: dict[str, Any]) -> list[str]:
    """A sentence for each step from text to vector; the last one says what the vector is."""
    prompt = f'it is put behind the prompt "{spec.prompt}"' if spec.prompt else "it is taken as it is: no prompt"
    limit = "it is never cut" if spec.max_tokens is None else f"it is cut at {spec.max_tokens} tokens, these included"
    limit = "it is cut as the model's own code does" if is_own(spec.modules[0].kind) else limit
    steps = [f"{prompt}, and turned into token ids with the special tokens of the model; {limit}"]
    steps += [f"{module.kind}: {_word(module)(module, facts)}" for module in spec.modules]
    if spec.truncate_dims is not None:
        steps.append(f"only the first {spec.truncate_dims} dimensions are kept")
    if spec.normalize:
        steps.append("the vector is scaled to length 1")
    length = "length 1: a dot product is a cosine" if spec.unit_vectors else "any length: compare by cosine"
    return [*steps, f"The vector has {spec.dims} dimensions and {length}."]


def _prompts(spec: Spec, facts: dict[str, Any]) -> Iterator[str]:
    prompts, default = facts["prompts"], facts["default_prompt_name"]
    used = f'used: "{spec.prompt}"' if spec.prompt else "used: none"
    if not prompts:
        yield from _wrapped(f"the model's files name none; {used}", "  ")
        return
    for name, text in prompts.items():
        note = " (the default)" if name == default else ""
        yield from _wrapped(f"{name}{note}: " + (f'"{text}"' if text else "none"), "    ", first="  ")
    yield from _wrapped(f"{used}; --prompt-name NAME, --task query or --prompt TEXT choose another", "  ")


def _example(example: dict[str, Any]) -> Iterator[str]:
    tokens = example["tokens"]
    yield from _wrapped(f'"{example["text"]}"' + (" (cut)" if example["truncated"] else ""), "  ")
    modes = list(example["modes"])
    columns = modes[:_SHOWN_MODES]
    yield "  " + f"{'token':<20}{'id':>8}  {'':<8}" + "".join(f"{_short(mode):>13}" for mode in columns)
    for place in _places(len(tokens)):
        if place is None:
            yield f"  ... {len(tokens) - _SHOWN_TOKENS} more ..."
            continue
        token = tokens[place]
        kind = "special" if token["special"] else ""
        weights = "".join(f"{_weight(example['modes'][mode][place]):>13}" for mode in columns)
        yield f"  {token['token'][:19]:<20}{token['id']:>8}  {kind:<8}{weights}".rstrip()
    yield from _wrapped("; ".join(_taken(mode, len(tokens), example) for mode in modes), "  ")
    numbers = ", ".join(f"{number:.4f}" for number in example["vector"])
    yield from _wrapped(
        f"-> [{numbers}, ...] {example['dims']} numbers, length {example['length']:g}", "     ", first="  "
    )


def _taken(mode: str, count: int, example: dict[str, Any]) -> str:
    weights = example["modes"][mode]
    counting = [place for place, weight in enumerate(weights) if weight != 0]
    if mode in ("cls", "lasttoken") and len(counting) == 1:
        return f"{mode}: {example['tokens'][counting[0]]['token']} alone stands for the text"
    how = {"max": "of each dimension the largest value", "weightedmean": "later ones more"}.get(mode, "all equally")
    return f"{mode}: {len(counting)} of {count} tokens count, {how}"


_TITLES = {
    "integers": "int8",
    "weights": "weights",
    "kernels": "kernels",
    "words": "words",
    "lane": "on the GPU",
    "budget": "tokens",
}


def _machine(facts: dict[str, Any]) -> Iterator[str]:
    yield from _wrapped(f"device: {facts['device']} ({facts['device_reason']})", "    ", first="  ")
    yield from _wrapped(f"numbers: {facts.get('dtype', 'float32')} ({facts['dtype_reason']})", "    ", first="  ")
    for name, title in _TITLES.items():
        if name in facts:
            yield from _wrapped(f"{title}: {facts[name]}", "    ", first="  ")
    batches = f"batches: {facts['forward']}, of about {facts['token_budget']:,} tokens"
    yield from _wrapped(f"{batches} (because: {facts.get('reason', 'nothing depends on a batch')})", "    ", first="  ")
    side = facts["padding_side"]
    if side is not None and facts["forward"] == "packed":
        text = f"padding: none; texts lie end to end, so it does not matter that the tokenizer pads on the {side}"
        yield from _wrapped(text, "    ", first="  ")
    elif side is not None:
        yield from _wrapped(f"padding: to the longest of a batch; the tokenizer pads on the {side}", "    ", first="  ")


def _places(count: int) -> list[int | None]:
    """Which tokens are shown; None where some are left out."""
    if count <= _SHOWN_TOKENS:
        return list(range(count))
    half = _SHOWN_TOKENS // 2
    return [*range(half), None, *range(count - half, count)]


def _weight(weight: float | None) -> str:
    if weight is None:
        return "any"
    return f"x {weight:.3f}" if weight else "-"


def _short(mode: str) -> str:
    return mode if len(mode) <= 12 else mode[:11] + "."


def _wrapped(text: str, indent: str, *, first: str | None = None) -> list[str]:
    start = indent if first is None else first
    return textwrap.wrap(text, _COLUMNS, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)


def _transformer(module: Module, facts: dict[str, Any]) -> str:
    merged = ", its adapter merged into it," if "adapter" in module.config else ""
    return f"{facts.get('network', 'the network')}{merged} gives each token a vector that knows its neighbours"


def _pooling(module: Module, _: dict[str, Any]) -> str:
    modes = module.config["modes"]
    words = "; ".join(_POOLING[mode] for mode in modes)
    joined = " (joined one behind the other)" if len(modes) > 1 else ""
    prompt = "" if module.config.get("include_prompt", True) else "; the prompt's tokens do not count"
    return words + joined + prompt


def _normalize(_: Module, __: dict[str, Any]) -> str:
    return "the vector is scaled to length 1"


def _dense(module: Module, _: dict[str, Any]) -> str:
    sizes = f"{module.config['in_features']} numbers become {module.config['out_features']}"
    return f"{sizes} by a learned matrix" + (" added to the vector" if module.config.get("residual") else "")


def _own(module: Module, __: dict[str, Any]) -> str:
    repository, _, name = module.kind.rpartition("--")
    file, _, name = name.partition(".")
    place = f" of {repository}" if repository else ""
    return f"the class {name} in the file {file}.py{place}, code of the model's own, does what it does"


def _word(module: Module) -> Callable[[Module, dict[str, Any]], str]:
    return _own if is_own(module.kind) else _WORDS.get(module.kind, _plain)


def _plain(module: Module, _: dict[str, Any]) -> str:
    return f"as the model's folder {module.path} says"


_WORDS: dict[str, Callable[[Module, dict[str, Any]], str]] = {
    "Transformer": _transformer,
    "Pooling": _pooling,
    "Normalize": _normalize,
    "Dense": _dense,
}
