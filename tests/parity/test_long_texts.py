"""A very long text is cut before it is tokenized, and its ids stay what they were."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.parity.tiny_models import LINES, bytelevel, wordpiece
from worker.engine import fast_tokenizer as module
from worker.engine.long_texts import head, splits_at_spaces
from worker.engine.tokenizer import Tokenizer

_WORDS = st.sampled_from(
    [*LINES, "don't", "12,345.6", "漢字", "e\u0301", "[SEP]", "</s>", "a\u00a0b", "\u200b", "\x1c"]
)
_TEXTS = st.lists(_WORDS | st.text(max_size=6), max_size=40).flatmap(
    lambda words: st.sampled_from([" ", "  ", "\n", " \t "]).map(lambda gap: gap.join(words))
)


def unigram(*, pieces: Any) -> PreTrainedTokenizerFast:
    """In the way of SentencePiece; `pieces` is its pre-tokenizer, None for the whole text at once."""
    backend = Backend(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" ", "▁")])
    if pieces is not None:
        backend.pre_tokenizer = pieces
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "</s>"], unk_token="<unk>")
    backend.train_from_iterator([*LINES, "two words two words two words and a word"] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", pad_token="</s>")


_MAKERS: dict[str, Callable[[], Any]] = {
    "wordpiece": wordpiece,
    "cased wordpiece": lambda: wordpiece(lower=False),
    "byte-level": lambda: bytelevel(style="roberta"),
    "unigram": lambda: unigram(pieces=pre_tokenizers.Metaspace()),
}
_MADE = {name: make() for name, make in _MAKERS.items()}


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize("name", _MADE)
@given(texts=st.lists(_TEXTS, min_size=1, max_size=3), most_chars=st.integers(0, 120))
def test_ids_are_those_of_the_whole_text(name: str, words: bool, texts: list[str], most_chars: int) -> None:
    tokenizer = Tokenizer(_MADE[name], 12)._fast
    assert tokenizer is not None
    if not words:
        tokenizer._by_words = None
    tokenizer._most_chars = None
    whole = tokenizer(texts)
    tokenizer._most_chars = most_chars
    cut = tokenizer(texts)
    assert cut.lists() == whole.lists()
    assert cut.truncated.tolist() == whole.truncated.tolist()


@pytest.mark.parametrize("name", _MADE)
@pytest.mark.parametrize("texts", [0, 1, 3, 4, 10])
def test_texts_that_are_tokenized_a_few_at_a_time_are_those_of_all_at_once(
    name: str, texts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, tokenizer = (["", *LINES, " ".join(LINES)] * 10)[:texts], Tokenizer(_MADE[name], 12)
    whole = tokenizer(some)
    monkeypatch.setattr(module, "_TEXTS_AT_ONCE", 3)
    few = tokenizer(some)
    assert few.lists() == whole.lists()
    assert few.offsets.tolist() == whole.offsets.tolist()
    assert few.truncated.tolist() == whole.truncated.tolist()


@pytest.mark.parametrize("name", _MADE)
def test_the_usual_tokenizers_split_at_spaces(name: str) -> None:
    fast = Tokenizer(_MADE[name], 12)._fast
    assert fast is not None
    assert fast._most_chars == 12 * module.CHARS_PER_TOKEN


def test_one_that_looks_across_spaces_reads_the_whole_text() -> None:
    phrases = unigram(pieces=pre_tokenizers.Split("three", "isolated")).backend_tokenizer
    assert not splits_at_spaces(phrases)
    assert not splits_at_spaces(unigram(pieces=None).backend_tokenizer)


def test_only_the_head_of_a_long_text_is_tokenized(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(module, "head", lambda text, most: asked.append(len(head(text, most))) or head(text, most))
    tokens = Tokenizer(wordpiece(), 12)(["word " * 100_000, "two words"])
    assert asked[0] < 1_000
    assert tokens.truncated.tolist() == [True, False]


@given(text=st.text(alphabet=" \nab", max_size=60), most_chars=st.integers(0, 60))
def test_a_head_ends_before_a_space_that_follows_a_word(text: str, most_chars: int) -> None:
    kept = head(text, most_chars)
    assert text.startswith(kept)
    assert kept == text or (len(kept) >= most_chars and text[len(kept)] == " " and not kept[-1:].isspace())
