"""Counting tokens with the tokenizer of a model, without the model: all that it reads of a text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, normalizers

from schemas.errors import ModelError
from schemas.spec import Spec


def count_tokens(folder: Path, spec: Spec, texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Tokens of each text behind the prompt, special ones counted, however many the model reads."""
    tokenizer = tokenizer_of(folder, spec)
    encodings = tokenizer.encode_batch_fast([spec.prompt + text for text in texts])
    return np.array([len(encoding.ids) for encoding in encodings], np.int64)


def tokenizer_of(folder: Path, spec: Spec) -> Tokenizer:
    """The tokenizer of a spec's model, which neither cuts nor pads; a `ModelError` where it is no such file."""
    first = spec.modules[0]
    path = folder / first.path / "tokenizer.json"
    if not path.exists() or "message" in first.config:
        why = "puts texts into messages" if path.exists() else "has no tokenizer.json"
        raise ModelError(
            f"the model {spec.model} {why}, so texts cannot be measured", way_out="cut the texts beforehand"
        )
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if first.config.get("do_lower_case"):
        present = [tokenizer.normalizer] if tokenizer.normalizer else []
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *present])
    return tokenizer


def tokens_beside(tokenizer: Tokenizer, prompt: str) -> int:
    """What the model reads beside the text."""
    own = len(tokenizer.encode(prompt, add_special_tokens=False).ids) if prompt else 0
    return own + int(tokenizer.num_special_tokens_to_add(is_pair=False))
