"""From texts to token ids, exactly those sentence-transformers would give; no padding, no tensors.

Thread-safe: truncation and padding are set once, and encoding does not change the tokenizer after that.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import normalizers
from transformers import AutoTokenizer

from schemas.errors import ModelError
from schemas.spec import Spec
from worker.engine.fast_tokenizer import FastTokenizer
from worker.engine.token_types import TokenTypes
from worker.engine.tokens import Tokens, flat


class Tokenizer:
    """The tokenizer of one model, cut to `max_tokens` (None: never)."""

    def __init__(self, tokenizer: Any, max_tokens: int | None) -> None:
        self._tokenizer = tokenizer
        self.max_tokens = max_tokens
        self._slow = threading.Lock()
        if max_tokens is not None and tokenizer.num_special_tokens_to_add(pair=False) >= max_tokens:
            raise ModelError(f"--max-tokens {max_tokens} leaves no room beside the special tokens")
        self.types = TokenTypes.of(tokenizer)
        self._fast: FastTokenizer | None = None
        if tokenizer.is_fast:
            backend = tokenizer.backend_tokenizer
            backend.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
            self._fast = FastTokenizer(backend, max_tokens, side=tokenizer.truncation_side)

    @property
    def words(self) -> str:
        """What is done about words that come again; nothing by a slow tokenizer."""
        return "" if self._fast is None else self._fast.words

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
        return self._encode_slow(texts) if self._fast is None else self._fast(texts)

    def prompt_length(self, prompt: str) -> int:
        """How many of the first tokens count as the prompt: all it has alone, but for a special one at its end."""
        if not prompt:
            return 0
        ids = self([prompt]).ids
        return len(ids) - int(len(ids) > 0 and int(ids[-1]) in self._tokenizer.all_special_ids)

    def _encode_slow(self, texts: list[str]) -> Tokens:
        if not texts:
            return flat([], np.zeros(0, dtype=np.bool_))
        cut = {"truncation": self.max_tokens is not None, "max_length": self.max_tokens}
        with self._slow:
            lists = self._tokenizer(texts, padding=False, **cut)["input_ids"]
            whole = self._tokenizer(texts, padding=False, truncation=False, verbose=False)["input_ids"]
        lengths = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        truncated = np.fromiter((len(ids) for ids in whole), dtype=np.int64, count=len(lists)) > lengths
        return flat(lists, truncated)


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
