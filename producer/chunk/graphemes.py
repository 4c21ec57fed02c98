"""Cuts moved out of graphemes: what a reader takes for one character (an emoji family, a letter with its accents)."""

import regex

from schemas.text import Span

_GRAPHEME = regex.compile(r"\X")
#: Between these and what follows there is always a boundary, so a search need not begin before.
_PLAIN = r"[ -~\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff]"
_BEGINNING = regex.compile(rf"{_PLAIN}|(?<=[ -~])[\p{{L}}\p{{N}}--[\u0e33\u0eb3\uff9e\uff9f]]", regex.V1)


def whole_graphemes(text: str, spans: list[Span]) -> list[Span]:
    """The spans with each end that is inside a grapheme moved to its beginning; those that are then empty are left out.

    The last end stays. So a grapheme that alone is above the limit is in one span, all of it.
    """
    if text.isascii() and "\r\n" not in text:
        return spans
    ends = [end if end == len(text) else _before(text, end) for _, end in spans]
    moved = [Span(_before(text, start), end) for (start, _), end in zip(spans, ends, strict=True)]
    return [span for span in moved if span.start < span.end] or [Span(0, len(text))]


def _before(text: str, place: int) -> int:
    """The last boundary at or before a place."""
    begin = place
    while begin > 0 and not _is_plain_break(text, begin):
        begin -= 1
    for grapheme in _GRAPHEME.finditer(text, begin):
        if grapheme.end() > place:
            return min(int(grapheme.start()), place)
    return place


def _is_plain_break(text: str, place: int) -> bool:
    if place == len(text) or text[place - 1 : place + 1] == "\r\n":
        return False
    return regex.match(_PLAIN, text[place - 1]) is not None and _BEGINNING.match(text, place) is not None
