"""Ids of texts by their words are those of the whole texts, whatever blanks and characters a text has."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unicodedata import category

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Backend

from tests.parity.tiny_models import LINES, bytelevel, wordpiece
from worker.engine.fast_tokenizer import FastTokenizer
from worker.engine.tokens import as_bytes
from worker.engine.words import ByWords
from worker.engine.words import lexicon as lexicon_module
from worker.engine.words.cuts import BLANKS, Cuts, stands_alone
from worker.engine.words.lexicon import LONGEST, DictLexicon, Lexicon, TableLexicon
from worker.engine.words.table import library

_METASPACE = pre_tokenizers.Metaspace(prepend_scheme="always")


def copy(backend: Backend) -> Backend:
    return Backend.from_str(backend.to_str())


# Trained once: twice is not twice the same.
_BERT = wordpiece().backend_tokenizer


def bert(**changes: Any) -> Backend:
    backend = copy(_BERT)
    for name, value in changes.items():
        setattr(backend, name, value)
    return backend


def trained(model: Any, trainer: Any, *, pieces: Any, changes: Any = None) -> Backend:
    backend = Backend(model)
    backend.pre_tokenizer = pieces
    if changes is not None:
        backend.normalizer = changes
    backend.train_from_iterator([*LINES, "Two words, two words and one word: café naïve 漢字 ① ﬁ"] * 3, trainer)
    return backend


def unigram(pieces: Any, changes: Any = None) -> Backend:
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "</s>"], unk_token="<unk>")
    backend = trained(models.Unigram(), trainer, pieces=pieces, changes=changes)
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return backend


def bpe(pieces: Any, changes: Any = None) -> Backend:
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"])
    return trained(models.BPE(unk_token="<unk>"), trainer, pieces=pieces, changes=changes)


def with_tokens(backend: Backend, *tokens: AddedToken) -> Backend:
    backend.add_tokens(list(tokens))
    return backend


class Own:
    """A pre-tokenizer that is Python code."""

    def pre_tokenize(self, text: Any) -> None:
        text.split(lambda _, piece: [piece])


def _split_and(*more: Any) -> Any:
    return pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), *more])


_NFKC_MANY = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
_MADE: dict[str, Backend] = {
    "bert": bert(),
    "cased": bert(normalizer=normalizers.BertNormalizer(lowercase=False)),
    "accents kept": bert(normalizer=normalizers.BertNormalizer(strip_accents=False)),
    "nothing cleaned": bert(normalizer=normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False)),
    "nothing changed": bert(normalizer=None),
    "nfkc": bert(normalizer=normalizers.Sequence([normalizers.Lowercase(), normalizers.NFKC()])),
    "added": with_tokens(bert(), AddedToken("x[y", normalized=False), AddedToken("c++", normalized=False)),
    "added, of single words": with_tokens(bert(), AddedToken("qqq", normalized=False, single_word=True)),
    "added, changed first": with_tokens(
        bert(), AddedToken("C++", normalized=True), AddedToken("Mill", normalized=True)
    ),
    "stripping": with_tokens(bert(), AddedToken("<m>", lstrip=True, rstrip=True, normalized=False)),
    "unigram": unigram(_split_and(_METASPACE), _NFKC_MANY),
    "bpe": bpe(_split_and(pre_tokenizers.Digits(individual_digits=True)), normalizers.NFC()),
    "words": trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(special_tokens=["<unk>"]),
                     pieces=pre_tokenizers.Whitespace()),
}  # fmt: skip

_ODD = [
    *LINES, "don't", "12,345.6", "漢字", "e\u0301", "\u0301e", "[SEP]", "a[SEP]b", "[sep]", "</s>", "a\u00a0b",
    "\u200b", "\x1c", "x\x0by", "x_qqq", "qqq,", "c++", "c++,", "ｃ++", "xc++y", "<m>", "a<m>b", "x[y", "\x01.",
    "=\u0338", "ﬁ①", "İx", "\ufeff", "x" * 130, "." * 130, "ab" * 70, "\U0001f3fb", "\uff9e", "가\u11a8", "\u1161"
]  # fmt: skip
_GAPS = st.sampled_from([" ", "  ", "\n", " \t ", "\r\n", "\u00a0", "\u3000", "\u2028", "\x85", "\x1d", ""])
_TEXTS = st.lists(st.tuples(st.sampled_from(_ODD) | st.text(max_size=6), _GAPS), max_size=30).map(
    lambda pairs: "".join(word + gap for word, gap in pairs)
)


@pytest.fixture(scope="module", autouse=True)
def tireless() -> Iterator[None]:
    """Each batch of texts is looked up, however many of its words are new."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexicon_module, "_REST", 0)
        yield


@contextmanager
def way(*, compiled: bool) -> Iterator[None]:
    """Lexicons of one kind."""
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(lexicon_module, "library", lambda: None)
        yield


_ALL = [["two words", "two\x1cwords", ""], _ODD, [" ".join(_ODD), "\n\n".join(reversed(_ODD))]]


# A tokenizer of ours takes as long to make as dozens of texts to read: so each reads several batches.
@pytest.mark.parametrize("name", _MADE)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=max(5, settings().max_examples // 10))
@given(batches=st.lists(st.tuples(st.lists(_TEXTS, max_size=4), st.booleans()), min_size=6, max_size=10),
       most=st.none() | st.integers(3, 40))  # fmt: skip
@example(batches=[(texts, specials) for texts in _ALL for specials in (True, False)], most=3)
@example(batches=[(texts, specials) for texts in _ALL for specials in (True, False)], most=None)
def test_ids_are_those_of_the_whole_texts(
    name: str, side: str, compiled: bool, batches: list[tuple[list[str], bool]], most: int | None
) -> None:
    with way(compiled=compiled):
        ours, alone = FastTokenizer(copy(_MADE[name]), most, side=side), copy(_MADE[name])
        assert ours._by_words is not None
        assert isinstance(ours._by_words.lexicon, TableLexicon) == (compiled and library() is not None)
        for texts, specials in batches:
            same(ours, alone, texts, most, side=side, specials=specials)


def same(ours: FastTokenizer, alone: Backend, texts: list[str], most: int | None, *, side: str, specials: bool) -> None:
    if most is not None:
        alone.enable_truncation(most, direction=side)
    found, wanted = ours(texts, specials=specials), alone.encode_batch(texts, add_special_tokens=specials)
    assert found.lists() == [one.ids for one in wanted]
    assert found.truncated.tolist() == [bool(one.overflowing) for one in wanted]
    # And again, now that the words are known.
    assert ours(texts, specials=specials).lists() == found.lists()


#: All that combine, divide, or are not seen; and of the others some.
_CHARS = [
    char
    for code, char in enumerate(map(chr, range(sys.maxunicode + 1)))
    if category(char)[0] in "MZ"
    or category(char) in ("Cc", "Cf", "Lm", "Sk")
    or (code % 997 == 0 and category(char) != "Cs")
]


@pytest.mark.parametrize("name", _MADE)
@pytest.mark.parametrize("compiled", [True, False])
def test_any_character_between_and_beside_words(name: str, compiled: bool) -> None:
    with way(compiled=compiled):
        ours, alone = FastTokenizer(copy(_MADE[name]), None, side="right"), copy(_MADE[name])
        for at in range(0, len(_CHARS), 1000):
            forms = ("two{0}words", "two {0}words.{0}", "\u00a0{0}x")
            texts = [form.format(char) for char in _CHARS[at : at + 1000] for form in forms]
            assert ours(texts).lists() == [one.ids for one in alone.encode_batch(texts)]


_REFUSED: dict[str, Callable[[], Backend]] = {
    "bytes": lambda: bytelevel(style="roberta").backend_tokenizer,
    "blanks kept": lambda: unigram(_METASPACE),
    "the first word another": lambda: unigram(_split_and(pre_tokenizers.Metaspace(prepend_scheme="first"))),
    "not cut": lambda: unigram(None),
    "cut at a word": lambda: unigram(pre_tokenizers.Split("two", "isolated")),
    "blanks replaced": lambda: bert(normalizer=normalizers.Replace(" ", "_")),
    "something before each text": lambda: bert(normalizer=normalizers.Prepend("x ")),
    "a token of two words": lambda: with_tokens(bert(), AddedToken("two words", normalized=False)),
    "a token that may become two": lambda: with_tokens(bert(), AddedToken("漢字", normalized=True)),
    "code of one's own": lambda: bert(pre_tokenizer=pre_tokenizers.PreTokenizer.custom(Own())),
    "another each time": lambda: trained(
        models.BPE(unk_token="<unk>", dropout=0.5), trainers.BpeTrainer(special_tokens=["<unk>"]), pieces=_split_and()
    ),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_who_looks_across_blanks_reads_whole_texts(name: str) -> None:
    assert Cuts.of(_REFUSED[name]()) is None


def test_text_twice_between_special_tokens_is_not_simply_its_words() -> None:
    twice = processors.TemplateProcessing(single="[CLS] $A $A", special_tokens=[("[CLS]", 2)])
    assert ByWords.of(bert(post_processor=twice), None, side="right") is None


class Counting:
    """A tokenizer that tells what it was asked."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.asked: list[str] = []

    def encode_batch_fast(self, texts: list[str], **options: Any) -> list[Any]:
        self.asked += texts
        found: list[Any] = self._backend.encode_batch_fast(texts, **options)
        return found


both = pytest.mark.parametrize("kind", [DictLexicon, TableLexicon])


def counted(kind: type[Lexicon], most: int | None = None) -> tuple[Lexicon, Counting]:
    if kind is TableLexicon and library() is None and not os.environ.get("CI"):
        # Vecmill does without; in CI there is a compiler, and C that it refuses has to fail.
        pytest.skip("no C compiler")
    backend = bert()
    cuts = Cuts.of(backend)
    assert cuts is not None
    if most is not None:
        backend.enable_truncation(most)
    counting = Counting(backend)
    return kind(counting, cuts, most), counting


def test_no_blank_is_left_out() -> None:
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1))))
    assert set(BLANKS) == set(everything) - set("".join(everything.split()))


@both
def test_the_tokenizer_sees_a_word_once_and_no_text(kind: type[Lexicon]) -> None:
    lexicon, counting = counted(kind)
    first = lexicon.bodies(["two words, two", "words (two)"])
    assert sorted(counting.asked) == sorted(["two", "words", ",", "(", ")"])
    counting.asked.clear()
    assert lexicon.bodies(["two words, two", "words (two)"]) == first
    assert not counting.asked


@both
def test_words_that_are_longer_or_may_be_cut_make_a_whole_text(kind: type[Lexicon]) -> None:
    lexicon, _ = counted(kind, most=4)
    longest = "a" * LONGEST
    texts = ["two two two", longest, f"two {longest}a", "two 漢字漢字 two", "two \u0301b two", ""]
    assert [body is None for body in lexicon.bodies(texts)] == [False, False, True, True, True, False]


def test_a_word_that_holds_what_splits_no_word_makes_a_whole_text() -> None:
    assert counted(DictLexicon)[0].bodies(["two\x1cwords", "two two two"])[0] is None
    assert counted(TableLexicon)[0].bodies(["two [SEP]", "two two two"])[0] is None


@both
def test_a_full_lexicon_forgets_and_goes_on(kind: type[Lexicon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "MOST_WORDS", 200)
    (lexicon, counting), texts = counted(kind), [f"word{number} two two two" for number in range(1_000)]
    wanted = [as_bytes(one.ids) for one in bert().encode_batch(texts, add_special_tokens=False)]
    assert [body for text in texts for body in lexicon.bodies([text])] == wanted
    assert 3 < counting.asked.count("two") < 50
    assert len(counting.asked) < 1_100


def test_a_table_without_room_for_ids_forgets_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "MOST_WORDS", 4)
    lexicon, texts = counted(TableLexicon)[0], [letter * 12 for letter in "aeo"]
    wanted = [as_bytes(one.ids) for one in bert().encode_batch(texts, add_special_tokens=False)]
    assert [len(body) for body in wanted] == [48] * 3
    assert lexicon.bodies(texts) == [*wanted[:2], None]
    assert lexicon.bodies(texts[2:]) == wanted[2:]


@both
def test_where_most_words_are_new_the_tokenizer_reads_the_texts_for_a_while(
    kind: type[Lexicon], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexicon_module, "_REST", 7)
    lexicon, counting = counted(kind)
    for number in range(80):
        bodies = lexicon.bodies([f"word{number}"])
        assert (bodies == [None]) == (number % 8 > 0)
    assert len(counting.asked) == 10


@both
def test_a_rest_ends_even_if_two_threads_counted_the_last_batch(kind: type[Lexicon]) -> None:
    lexicon, _ = counted(kind)
    lexicon._resting = -1
    assert lexicon.bodies(["two words"]) != [None]


@both
def test_a_word_at_which_the_tokenizer_fails_troubles_no_other_text(
    kind: type[Lexicon], monkeypatch: pytest.MonkeyPatch
) -> None:
    lexicon, counting = counted(kind)
    real = counting.encode_batch_fast

    def failing(words: list[str], **options: Any) -> list[Any]:
        return real(words, **options) if "bad" not in words else [][0]

    monkeypatch.setattr(counting, "encode_batch_fast", failing)
    for text in ("two words", "two bad words"):
        if "bad" in text:
            with pytest.raises(IndexError):
                lexicon.bodies([text])
        wanted = [as_bytes(bert().encode(text, add_special_tokens=False).ids) for text in ("two words", "two")]
        assert lexicon.bodies(["two words", "two"]) == wanted


@both
def test_threads_share_a_lexicon(kind: type[Lexicon], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_module, "MOST_WORDS", 200)
    lexicon, texts = counted(kind)[0], [f"word{number} two words{number % 7} two two" for number in range(2_000)]
    wanted = [as_bytes(one.ids) for one in bert().encode_batch(texts, add_special_tokens=False)]
    with ThreadPoolExecutor(8) as pool:
        pieces = list(pool.map(lambda at: lexicon.bodies(texts[at : at + 20]), range(0, 2_000, 20)))
    assert [body for piece in pieces for body in piece] == wanted


@given(texts=st.lists(_TEXTS, max_size=8), most=st.integers(1, 40))
def test_a_table_of_any_size(texts: list[str], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lexicon_module, "MOST_WORDS", most)
        lexicon, backend = counted(TableLexicon)[0], bert()
    bodies = lexicon.bodies(texts)
    for text, body in zip(texts, bodies, strict=True):
        assert body is None or body == as_bytes(backend.encode(text, add_special_tokens=False).ids)
    # One word of few ids fits into any table, whatever was in it before.
    assert lexicon.bodies(["two"])[0] is not None or lexicon.bodies(["two"])[0] is not None


@pytest.mark.parametrize("char", ["\u0301", "\u200d", "\u0e33", "\uff9e", "\U0001f3fb"])
def test_what_joins_a_grapheme_does_not_stand_alone(char: str) -> None:
    assert not stands_alone(f"{char}word")
    assert stands_alone(f"word{char}")
