"""A spec and how it would run here, in words: what happens to a text, step by step."""

from collections.abc import Callable, Iterator
from typing import Any

from schemas.spec import Module, Spec

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
    yield ""
    yield f'A text is put behind the prompt "{spec.prompt}"' if spec.prompt else "A text is taken as it is: no prompt"
    limit = "is never cut" if spec.max_tokens is None else f"is cut at {spec.max_tokens} tokens"
    yield f"and turned into token ids, special tokens included; it {limit}. Then:"
    for number, module in enumerate(spec.modules, start=1):
        yield f"  {number}. {module.kind}: {_WORDS.get(module.kind, _plain)(module, facts)}"
    if spec.truncate_dims is not None:
        yield f"  {len(spec.modules) + 1}. only the first {spec.truncate_dims} dimensions are kept"
    if spec.normalize:
        yield "  and the vector is scaled to length 1"
    length = "length 1: a dot product is a cosine" if spec.unit_vectors else "any length: compare by cosine"
    yield f"The vector has {spec.dims} dimensions and {length}."
    yield ""
    yield f"Here: {facts['network']} in {facts['dtype']} on {facts['device']}, {facts['forward']} batches of about"
    yield f"{facts['token_budget']:,} tokens ({facts['forward']} because: {facts['reason']})."
    for warning in spec.warnings:
        yield f"warning: {warning}"


def _transformer(_: Module, facts: dict[str, Any]) -> str:
    return f"{facts['network']} gives each token a vector that knows its neighbours"


def _pooling(module: Module, _: dict[str, Any]) -> str:
    modes = module.config["modes"]
    words = "; ".join(_POOLING[mode] for mode in modes)
    joined = " (joined one behind the other)" if len(modes) > 1 else ""
    prompt = "" if module.config.get("include_prompt", True) else "; the prompt's tokens do not count"
    return words + joined + prompt


def _normalize(_: Module, __: dict[str, Any]) -> str:
    return "the vector is scaled to length 1"


def _plain(module: Module, _: dict[str, Any]) -> str:
    return f"as the model's folder {module.path} says"


_WORDS: dict[str, Callable[[Module, dict[str, Any]], str]] = {
    "Transformer": _transformer,
    "Pooling": _pooling,
    "Normalize": _normalize,
}
