"""Whether a tokenizer takes each word between blanks alone: then the ids of a text are those of its words, in a row.

Decided by what the tokenizer is made of, since no number of trials shows that a blank is never looked across; and
tried all the same.
"""

import json
import re
import string
import unicodedata
from dataclasses import dataclass
from typing import Any, Self

#: What removes blanks and cuts there.
_CUTS = ("BertPreTokenizer", "WhitespaceSplit", "Whitespace")
#: What then looks at each piece by itself.
_LOCAL_PIECES = (*_CUTS, "Punctuation", "Digits", "Metaspace", "UnicodeScripts")
#: What changes a character by itself and those that combine with it, which a blank does not.
_LOCAL_CHANGES = (
    "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Strip", "StripAccents",
)  # fmt: skip
_MODELS = ("WordPiece", "WordLevel", "Unigram", "BPE")
_MANY_BLANKS = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
#: All that `str.split` takes for a blank; there is none behind U+3000, and to look takes a tenth of a second.
BLANKS = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
#: Characters that combine with the one before, though they are letters (grapheme clusters, UAX 29).
_COMBINING = "\u0e33\u0eb3\uff9e\uff9f" + "".join(map(chr, range(0x1F3FB, 0x1F400)))
#: Of ASCII, as BERT cuts at it.
PUNCTUATION = string.punctuation
_PIECES = re.compile(f"[{re.escape(PUNCTUATION)}]|[^{re.escape(PUNCTUATION)}]+").findall
_ENDS = ("word", "Wörter12", "x.", "(a)", "3.5", "don't", "漢字", "é", "a-b_", "http://x.y/z?q=1", "#!", "e\u0301")
_BEGINNINGS = ("word", "Word", "7", ".", "two", "漢字", "'s", "_", "-", "É", "ﬁ", "가")


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where a text may be cut: each piece has the ids that it has in the text.

    `glue` are those blanks of `str.split` at which a text must be left whole: the tokenizer drops them, say, and joins
    what is beside them. `punctuation`: words may be cut around it, but for those that hold one of `tokens`, which are
    looked for in the whole text.
    """

    glue: str
    punctuation: bool
    tokens: tuple[str, ...]

    @classmethod
    def of(cls, backend: Any) -> Self | None:
        """Those of a tokenizer, which may not truncate; None where it looks across blanks."""
        tokens = backend.get_added_tokens_decoder().values()
        if not _is_local(backend) or not all(_is_word(token.content) for token in tokens) or not _tried(backend):
            return None
        punctuation = _steps(backend.pre_tokenizer)[0]["type"] == "BertPreTokenizer" and all(map(_is_seen, tokens))
        return cls(_glue(backend), punctuation, tuple(token.content for token in tokens))

    def pieces(self, word: str) -> list[str]:
        """A word as the shortest pieces that are known to stand alone."""
        if not self.punctuation or word.isalnum() or any(token in word for token in self.tokens):
            return [word]
        pieces = _PIECES(word)
        return pieces if word.isascii() or all(map(stands_alone, pieces)) else [word]


def stands_alone(piece: str) -> bool:
    """Whether nothing before it can change it: its first character combines with none."""
    return piece.isascii() or not (unicodedata.category(piece[0])[0] in "MC" or piece[0] in _COMBINING)


def _is_local(backend: Any) -> bool:
    first, *more = _steps(backend.pre_tokenizer) or [{"type": "none"}]
    pieces = first["type"] in _CUTS and all(step["type"] in _LOCAL_PIECES for step in more)
    changes = all(step["type"] in _LOCAL_CHANGES or step == _MANY_BLANKS for step in _steps(backend.normalizer))
    model = backend.model
    drawn = any(getattr(model, name, None) for name in ("dropout", "alpha"))
    return pieces and changes and type(model).__name__ in _MODELS and not drawn


def _steps(part: Any) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer, as the library writes them down."""
    if part is None:
        return []
    try:
        return _unfolded(json.loads(part.__getstate__()))
    except Exception:  # the library raises bare exceptions
        # Python code, which cannot be written down.
        return [{"type": "custom"}]


def _unfolded(step: dict[str, Any]) -> list[dict[str, Any]]:
    if step["type"] != "Sequence":
        return [step]
    [inner] = (value for value in step.values() if isinstance(value, list))
    return [one for part in inner for one in _unfolded(part)]


def _is_word(token: str) -> bool:
    """Whether a token that is looked for in the whole text can only be found inside a word."""
    return token.isascii() and not any(map(str.isspace, token))


def _is_seen(token: Any) -> bool:
    """Whether a word shows by itself that it holds a token: as it is written, whatever stands beside."""
    return not token.single_word and (token.content.isalnum() or not token.normalized)


def _glue(backend: Any) -> str:
    two = _ids(backend, ["two", "words"])
    return "".join(blank for blank in BLANKS if _ids(backend, [f"two{blank}words"]) != two)


def _tried(backend: Any) -> bool:
    """Words of many kinds, behind one another, are what they are alone; and a blank is nothing."""
    return all(
        _ids(backend, [f"{end}{blank}{word}"]) == _ids(backend, [end, word])
        for end in _ENDS
        for word in _BEGINNINGS
        for blank in (" ", "\n", " \t ")
    ) and not _ids(backend, [" ", "\n"])


def _ids(backend: Any, texts: list[str]) -> list[int]:
    return [number for found in backend.encode_batch_fast(texts, add_special_tokens=False) for number in found.ids]
