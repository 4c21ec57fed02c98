"""Texts as chat messages: the model's own template is put around each, and the prompt is the system's message."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from schemas.errors import ModelError
from schemas.spec import Spec
from worker.engine.tokenizer import Tokenizer
from worker.engine.tokens import Tokens

#: Two texts that end in different tokens: what their renderings end in alike is the template's.
_UNLIKE = ("0", "1 2 3 4")


class ChatTokenizer(Tokenizer):
    """A tokenizer that wraps each text in the chat template; a text too long keeps the template's end."""

    structured: bool
    options: dict[str, Any]

    @classmethod
    def load(cls, folder: Path, spec: Spec) -> "ChatTokenizer":
        """The tokenizer as the Transformer module of `spec` configures it."""
        found = super().load(folder, spec)
        assert isinstance(found, cls)
        message = spec.modules[0].config["message"]
        if found._fast is None:
            raise ModelError(f"the tokenizer of {folder} is a slow one, which chat messages do not work with")
        found.structured = message["format"] == "structured"
        found.options = ({"task": message["task"]} if "task" in message else {}) | message["options"]
        return found

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of every text as a message behind the system's, which is the prompt."""
        assert self._fast is not None
        tokens = self._fast(self._render(texts, prompt), specials=False)
        full = np.flatnonzero(tokens.truncated | (tokens.lengths == (self.max_tokens or -1)))
        if len(full) and self.options.get("restore_suffix", True):
            end = self._end(prompt)
            for row in full:
                kept = min(len(end), int(tokens.lengths[row]))
                stop = int(tokens.offsets[row + 1])
                tokens.ids[stop - kept : stop] = end[len(end) - kept :]
        return tokens

    def prompt_length(self, prompt: str) -> int:
        """0: where a prompt ends inside a template is not known, and the oracle does not ask."""
        return 0

    def _render(self, texts: Sequence[str], prompt: str) -> list[str]:
        options = {key: value for key, value in self.options.items() if key != "restore_suffix"}
        before = [self._message("system", prompt)] if prompt else []
        conversations = [[*before, self._message("user", text)] for text in texts]
        if not conversations:
            return []
        rendered: list[str] = self._tokenizer.apply_chat_template(conversations, tokenize=False, **options)
        return rendered

    def _message(self, role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}] if self.structured else text}

    def _end(self, prompt: str) -> list[int]:
        """The ids that every rendering ends in, whatever its text."""
        first, second = (
            self._tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
            for text in self._render(_UNLIKE, prompt)
        )
        count = 0
        while count < min(len(first), len(second)) and first[-1 - count] == second[-1 - count]:
            count += 1
        return first[len(first) - count :] if 0 < count < min(len(first), len(second)) else []
