"""Token types: a few tokenizers, as XLNet's, give the special tokens around a text another type than the text."""

from dataclasses import dataclass
from inspect import signature
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from schemas.errors import ModelError


@dataclass(frozen=True, slots=True)
class TokenTypes:
    """The type of a text's own tokens, and of the special ones before and behind it."""

    head: tuple[int, ...]
    body: int
    tail: tuple[int, ...]

    @property
    def plain(self) -> bool:
        """Whether all of a text is of type 0."""
        return not any((*self.head, self.body, *self.tail))

    @classmethod
    def for_own_code(cls, model: Any, tokenizer: Any) -> Self | None:
        """Zeros, spelled out for a network of the model's own code: it need not take none for zeros."""
        own = type(model).__module__.startswith("transformers_modules.")
        takes = own and "token_type_ids" in signature(model.forward).parameters
        return cls((), 0, ()) if takes and "token_type_ids" in tokenizer.model_input_names else None

    @classmethod
    def of(cls, tokenizer: Any) -> Self | None:
        """What a tokenizer does, seen in one text; None where all types are 0 or there are none."""
        found = tokenizer("a", truncation=False, return_special_tokens_mask=True)
        types = found.get("token_type_ids")
        if types is None or not any(types):
            return None
        own = [place for place, special in enumerate(found["special_tokens_mask"]) if not special]
        first, last = own[0], own[-1] + 1
        if len(set(types[first:last])) != 1:
            raise ModelError("the tokenizer gives one text several token types, which is not supported")
        return cls(tuple(types[:first]), types[first], tuple(types[last:]))

    def rows(self, lengths: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The types of a batch that is padded on the right; those of padding do not matter."""
        types = np.full((len(lengths), int(lengths.max())), self.body, dtype=np.int64)
        types[:, : len(self.head)] = self.head[: types.shape[1]]
        for place, kind in enumerate(reversed(self.tail), start=1):
            types[np.arange(len(lengths)), lengths - place] = kind
        return types
