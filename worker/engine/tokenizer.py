"""From texts to token ids, exactly those sentence-transformers would give; no padding, no tensors.

Thread-safe: truncation and padding are set once, and encoding does not change the tokenizer after that.
"""

import threading
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers
from transformers import AutoTokenizer

from schemas.errors import ModelError
from schemas.spec import Spec
from worker.engine.long_texts import CHARS_PER_TOKEN, head, splits_at_spaces
from worker.engine.token_types import TokenTypes
from worker.engine.tokens import Tokens, joined, offsets_of

#: Texts are tokenized so many at a time: what the library gives of them holds offsets, strings and masks of every
#: token until the ids are taken out, and several jobs are tokenized at once.
_TEXTS_AT_ONCE = 128


class Tokenizer:
    """The tokenizer of one model, cut to `max_tokens` (None: never)."""

    def __init__(self, tokenizer: Any, max_tokens: int | None) -> None:
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._backend = tokenizer.backend_tokenizer if tokenizer.is_fast else None
        self._slow = threading.Lock()
        self._most_chars: int | None = None
        if max_tokens is not None and tokenizer.num_special_tokens_to_add(pair=False) >= max_tokens:
            raise ModelError(f"--max-tokens {max_tokens} leaves no room beside the special tokens")
        self.types = TokenTypes.of(tokenizer)
        if self._backend is not None:
            self._backend.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
            self._backend.no_padding()
            self._backend.no_truncation()
            self._most_chars = _bound(self._backend, max_tokens, tokenizer.truncation_side)
            if max_tokens is not None:
                self._backend.enable_truncation(max_tokens, direction=tokenizer.truncation_side)

    def types_for(self, model: Any) -> TokenTypes | None:
        """The token types that a network must be given; None where it needs none."""
        return self.types or TokenTypes.for_own_code(model, self._tokenizer)

    @classmethod
    def load(cls, folder: Path, spec: Spec) -> "Tokenizer":
        """The tokenizer as the Transformer module of `spec` configures it."""
        config = spec.modules[0].config
        arguments = {**config["processor_kwargs"], "trust_remote_code": spec.trust_remote_code}
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder / spec.modules[0].path), **arguments)
        except (OSError, ValueError, KeyError, ImportError) as cause:
            raise ModelError(f"the tokenizer of {folder} cannot be loaded: {cause}") from cause
        if config["do_lower_case"]:
            _lower_case(tokenizer)
        return cls(tokenizer, spec.max_tokens)

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of `prompt + text` of every text."""
        texts = [prompt + text for text in texts] if prompt else list(texts)
        return self._encode_slow(texts) if self._backend is None else self._encode(texts)

    def prompt_length(self, prompt: str) -> int:
        """How many of the first tokens count as the prompt: all it has alone, but for a special one at its end."""
        if not prompt:
            return 0
        ids = self([prompt]).ids
        return len(ids) - int(len(ids) > 0 and int(ids[-1]) in self._tokenizer.all_special_ids)

    def _encode(self, texts: list[str], *, specials: bool = True) -> Tokens:
        places = range(0, len(texts), _TEXTS_AT_ONCE) or range(1)
        return joined([self._encode_some(texts[at : at + _TEXTS_AT_ONCE], specials=specials) for at in places])

    def _encode_some(self, texts: list[str], *, specials: bool) -> Tokens:
        encodings = self._encodings(texts, specials=specials)
        lists = [encoding.ids for encoding in encodings]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        truncated = np.zeros(len(lists), dtype=np.bool_)
        # Only a text of full length can have been cut; asking each for its overflow would copy it.
        for row in np.flatnonzero(lengths == self.max_tokens) if self.max_tokens is not None else ():
            truncated[row] = bool(encodings[row].overflowing)
        return _flat(lists, lengths, truncated)

    def _encodings(self, texts: list[str], *, specials: bool) -> list[Any]:
        assert self._backend is not None
        if self._most_chars is None or all(len(text) <= self._most_chars for text in texts):
            return list(self._backend.encode_batch_fast(texts, add_special_tokens=specials))
        heads = [head(text, self._most_chars) for text in texts]
        encodings = list(self._backend.encode_batch_fast(heads, add_special_tokens=specials))
        for row, (text, kept) in enumerate(zip(texts, heads, strict=True)):
            # A head that is not truncated did not decide the ids: the rest of its text adds some.
            if len(kept) < len(text) and not encodings[row].overflowing:
                [encodings[row]] = self._backend.encode_batch_fast([text], add_special_tokens=specials)
        return encodings

    def _encode_slow(self, texts: list[str]) -> Tokens:
        if not texts:
            return _flat([], np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.bool_))
        cut = {"truncation": self.max_tokens is not None, "max_length": self.max_tokens}
        with self._slow:
            lists = self._tokenizer(texts, padding=False, **cut)["input_ids"]
            whole = self._tokenizer(texts, padding=False, truncation=False, verbose=False)["input_ids"]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        truncated = np.fromiter((len(ids) for ids in whole), dtype=np.int64, count=len(lists)) > lengths
        return _flat(lists, lengths, truncated)


def _bound(backend: Any, max_tokens: int | None, truncation_side: str) -> int | None:
    """Characters that decide what is kept of a text; None where its end may."""
    if max_tokens is None or truncation_side != "right" or not splits_at_spaces(backend):
        return None
    return max_tokens * CHARS_PER_TOKEN


def _flat(lists: Iterable[list[int]], lengths: Any, truncated: Any) -> Tokens:
    offsets = offsets_of(lengths)
    ids = np.fromiter(chain.from_iterable(lists), dtype=np.int32, count=int(offsets[-1]))
    return Tokens(ids=ids, offsets=offsets, truncated=truncated)


def _lower_case(tokenizer: Any) -> None:
    if not tokenizer.is_fast:
        tokenizer.do_lower_case = True
        return
    backend = tokenizer.backend_tokenizer
    present = backend.normalizer
    if isinstance(present, normalizers.Sequence):
        steps = [present[place] for place in range(len(present))]
    else:
        steps = [] if present is None else [present]
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
