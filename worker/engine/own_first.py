"""A first module of the model's own code, as the pair that the engine knows: texts to ids, ids to features.

Its class makes a dictionary of texts. Ids, an attention mask and token types of 0 travel on; for a tensor of another
kind there is no place in our flat arrays, so that is an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from schemas.errors import ModelError
from worker.engine.features import Features
from worker.engine.own_step import OwnStep, joined, runs
from worker.engine.streams import put
from worker.engine.tokens import Ids, Offsets, Tokens, offsets_of

#: Texts that the class is given at once: it pads them to the longest.
_AT_ONCE = 64
_CARRIED = frozenset({"input_ids", "attention_mask", "token_type_ids", "prompt_length"})


class OwnTokenizer:
    """Token ids as the model's own class makes them; `constants` is what it says beside, the same for all texts."""

    def __init__(self, step: OwnStep, task: dict[str, Any]) -> None:
        self._made = step.made
        self._kind = step.kind
        self._task = task
        self._tokenizer = getattr(step.made, "tokenizer", None)
        try:
            tried = self._features(["a"], "")
        except ModelError:
            raise
        except Exception as cause:  # code of anyone's: whatever it raises, it means the same
            raise ModelError(f"module {self._kind} does not read a text: {type(cause).__name__}: {cause}") from cause
        self.typed = "token_type_ids" in tried
        self.constants = _beside(tried)

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of every text behind a prompt."""
        lists: list[list[int]] = []
        for begin in range(0, len(texts), _AT_ONCE):
            lists += self._lists(self._features(list(texts[begin : begin + _AT_ONCE]), prompt))
        offsets = offsets_of(np.array([len(ids) for ids in lists], dtype=np.int64))
        ids = np.array([one for part in lists for one in part], dtype=np.int32)
        return Tokens(ids=ids, offsets=offsets, truncated=self._truncated(texts, prompt, np.diff(offsets)))

    def prompt_length(self, prompt: str) -> int:
        """How many of the first tokens count as the prompt, where the class says it."""
        return int(self._features(["a"], prompt).get("prompt_length") or 0) if prompt else 0

    def _features(self, texts: list[str], prompt: str) -> Mapping[str, Any]:
        found = _preprocess(self._made, texts, prompt, self._task)
        strange = [key for key in found if key not in _CARRIED and torch.is_tensor(found[key])]
        if strange or "input_ids" not in found or "attention_mask" not in found:
            given = ", ".join(strange or found) or "nothing"
            raise ModelError(
                f"module {self._kind} makes {given} of a text, where input_ids and attention_mask can be carried",
                way_out="use a model that reads texts by token ids alone",
            )
        return found

    def _lists(self, found: Mapping[str, Any]) -> list[list[int]]:
        if _beside(found) != self.constants:
            raise ModelError(f"module {self._kind} says other things of some texts, which cannot be carried on")
        ids, mask = found["input_ids"].cpu().numpy(), found["attention_mask"].cpu().numpy().astype(np.bool_)
        types = found.get("token_type_ids")
        if types is not None and bool((types.cpu().numpy() * mask).any()):
            raise ModelError(f"module {self._kind} gives token types other than 0, which cannot be carried on")
        # Padding is one token on one side. Anything else that is masked is a text's own, and would be lost.
        pieces = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1) == 1
        if (pieces.sum(axis=1) > 1).any() or len(np.unique(ids[~mask])) > 1:
            raise ModelError(f"module {self._kind} masks some tokens of a text, which cannot be carried on")
        return [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)]

    def _truncated(self, texts: Sequence[str], prompt: str, lengths: Offsets) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Which texts were cut: those of full length of which the class's tokenizer makes more; no other can tell."""
        cut = np.zeros(len(texts), dtype=np.bool_)
        most = getattr(self._made, "max_seq_length", None)
        if not isinstance(most, int) or not callable(self._tokenizer):
            return cut
        for row in np.flatnonzero(lengths >= most).tolist():
            whole = self._tokenizer(prompt + texts[row], truncation=False, verbose=False)["input_ids"]
            cut[row] = len(whole) > lengths[row]
        return cut


@dataclass(frozen=True, slots=True)
class OwnReader:
    """Token ids to features by the model's own class."""

    step: OwnStep
    typed: bool
    constants: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.step.device

    @property
    def padded(self) -> bool:
        """Never: texts of equal length go together."""
        return False

    def features(self, ids: Ids, offsets: Offsets) -> Features:
        """One batch; texts of equal length must be neighbours."""
        flat = put(ids.astype(np.int64), self.device)
        found = []
        for run in runs(offsets):
            rows = run.tokens(flat)
            types = {"token_type_ids": torch.zeros_like(rows)} if self.typed else {}
            given = {**self.constants, "input_ids": rows, "attention_mask": torch.ones_like(rows), **types}
            found.append(self.step.answer(given))
        return joined(Features(ids, offsets), found)

    def describe(self) -> dict[str, str]:
        """Facts that a person asks for."""
        first = next(iter(self.step.made.parameters()), None)
        dtype = "float32" if first is None else str(first.dtype).removeprefix("torch.")
        reason = "code of the model's own, which gets texts of equal length together"
        return {"dtype": dtype, "network": self.step.kind, "way": "runs", "reason": reason}


def _beside(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key not in _CARRIED}


def _preprocess(made: Any, texts: list[str], prompt: str, task: dict[str, Any]) -> Mapping[str, Any]:
    """Texts to features by whichever method a class has, found as sentence-transformers finds it."""
    behind = [prompt + text for text in texts]
    try:
        found = made.preprocess(texts, prompt=prompt or None, **task)
    except TypeError:
        found = made.preprocess(behind, **task)
    except AttributeError:
        try:
            found = made.tokenize(behind, **task)
        except TypeError:
            found = made.tokenize(behind)
    if not isinstance(found, Mapping):
        raise ModelError(f"{type(made).__name__} makes a {type(found).__name__} of texts, where features are expected")
    return found
