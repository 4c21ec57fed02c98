"""One text followed from its tokens to its vector, and the facts of a model that a person asks for.

Looks at a loaded embedder from outside and changes nothing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.model_files import read_object
from schemas.model_own import is_own
from worker.engine.device import about_bfloat16
from worker.engine.embedder import Embedder

_SHOWN_NUMBERS = 6

Weights = npt.NDArray[np.float64]


def model_facts(embedder: Embedder, *, asked_device: str) -> dict[str, Any]:
    """What the files offer and what this machine chose, with why."""
    saved = read_object(embedder.parts.folder / "config_sentence_transformers.json")
    tokenizer = _underlying(embedder)
    described = embedder.describe()
    return {
        "prompts": {name: text or "" for name, text in (saved.get("prompts") or {}).items()},
        "default_prompt_name": saved.get("default_prompt_name"),
        "padding_side": getattr(tokenizer, "padding_side", None),
        "device_reason": f"{asked_device} was asked for" if asked_device != "auto" else _found(described["device"]),
        "dtype_reason": _why_dtype(embedder),
    }


def follow(embedder: Embedder, text: str) -> dict[str, Any]:
    """The tokens of a text, what each of them counts for in pooling, and the vector that comes out.

    `modes` holds for each pooling mode the weight of each token: 0 where it does not count, None where it takes part
    without a fixed one (max).
    """
    tokens = embedder.tokens([text])
    ids = [int(number) for number in tokens.ids]
    vector = embedder.encode(tokens)[0]
    return {
        "text": text,
        "truncated": bool(tokens.truncated[0]),
        "tokens": [
            {"id": number, "token": piece, "special": number in _special(embedder)}
            for number, piece in zip(ids, _pieces(embedder, ids), strict=True)
        ],
        "modes": _modes(embedder, len(ids)),
        "vector": [round(float(number), 4) for number in vector[:_SHOWN_NUMBERS]],
        "dims": len(vector),
        "length": round(float(np.linalg.norm(vector)), 4),
    }


def _modes(embedder: Embedder, count: int) -> dict[str, list[float | None]]:
    pooling = next((module.config for module in embedder.spec.modules if module.kind == "Pooling"), None)
    if pooling is None:
        return {}
    skipped = 0 if pooling.get("include_prompt", True) else embedder.tokenizer.prompt_length(embedder.spec.prompt)
    return {mode: _weights(mode, count, min(skipped, count)) for mode in pooling["modes"]}


def _weights(mode: str, count: int, skipped: int) -> list[float | None]:
    weigh = _WEIGHTS.get(mode)
    left = count - skipped
    weights = [round(float(one), 4) for one in weigh(left, skipped)] if weigh and left else [None] * left
    return [*([0.0] * skipped), *weights]


def _one(place: int) -> Callable[[int, int], Weights]:
    def weigh(count: int, _skipped: int) -> Weights:
        weights: Weights = np.zeros(count)
        weights[place] = 1.0
        return weights

    return weigh


def _later_more(count: int, skipped: int) -> Weights:
    places = np.arange(skipped + 1, skipped + count + 1, dtype=np.float64)
    weights: Weights = places / places.sum()
    return weights


_WEIGHTS: dict[str, Callable[[int, int], Weights]] = {
    "cls": _one(0),
    "lasttoken": _one(-1),
    "mean": lambda count, _: np.full(count, 1 / count),
    "mean_sqrt_len_tokens": lambda count, _: np.full(count, count**-0.5),
    "weightedmean": _later_more,
}


def _underlying(embedder: Embedder) -> Any:
    """The tokenizer of transformers; None where a model brings another kind."""
    return getattr(embedder.tokenizer, "_tokenizer", None)


def _pieces(embedder: Embedder, ids: list[int]) -> list[str]:
    convert = getattr(_underlying(embedder), "convert_ids_to_tokens", None)
    return [f"#{number}" for number in ids] if convert is None else [str(piece) for piece in convert(ids)]


def _special(embedder: Embedder) -> set[int]:
    return set(getattr(_underlying(embedder), "all_special_ids", ()))


def _found(device: str) -> str:
    return "auto: there is no GPU that torch can use" if device == "cpu" else "auto: the first GPU that torch can use"


def _why_dtype(embedder: Embedder) -> str:
    spec = embedder.spec
    if embedder.describe().get("way") == "table":
        return "a table of vectors computes in nothing else"
    if spec.dtype == "bfloat16":
        return f"it was asked for; {about_bfloat16(embedder.device)}"
    if spec.dtype != "auto":
        return f"{spec.dtype} was asked for"
    if is_own(spec.modules[0].kind):
        return "auto: as the model's own code loads it"
    return f"auto: {about_bfloat16(embedder.device)}"
