"""Token ids of texts by their words: those that came before are looked up, and only new ones reach the tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from worker.engine.tokens import ID_BYTES, as_bytes
from worker.engine.words.lexicon import Lexicon, lexicon_of


class Found(NamedTuple):
    """The ids of a text, as the bytes of int32, and whether it was cut."""

    ids: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class ByWords:
    """A tokenizer's texts by a lexicon: cut to `most` tokens, special ones counted (None: never), on a side."""

    lexicon: Lexicon
    before: bytes
    after: bytes
    most: int | None
    side: str

    @classmethod
    def of(cls, backend: Any, most: int | None, *, side: str) -> Self | None:
        """Those of `backend`, which neither cuts nor pads yet; None where a text is not simply its words."""
        lexicon, frame = lexicon_of(backend, most), _frame(backend)
        return None if lexicon is None or frame is None else cls(lexicon, *frame, most, side)

    def __call__(self, texts: Sequence[str], *, specials: bool) -> list[Found | None]:
        """Each text; None for one that the tokenizer must read whole."""
        before, after = (self.before, self.after) if specials else (b"", b"")
        room = None if self.most is None else ID_BYTES * self.most - len(before) - len(after)
        return [
            None if body is None
            else Found(before + body + after, False) if room is None or len(body) <= room
            else Found(before + (body[:room] if self.side == "right" else body[-room:]) + after, True)
            for body in self.lexicon.bodies(texts)
        ]  # fmt: skip


def _frame(backend: Any) -> tuple[bytes, bytes] | None:
    """The special tokens before and behind a text; None where what lies between is not the text."""
    alone, framed = (backend.encode("two", add_special_tokens=specials).ids for specials in (False, True))
    places = [at for at in range(len(framed)) if alone and framed[at : at + len(alone)] == alone]
    return (as_bytes(framed[: places[0]]), as_bytes(framed[places[0] + len(alone) :])) if places else None
