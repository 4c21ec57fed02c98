"""A job's texts to its vectors, over an embedder whose vector is arithmetic: the letters of a text, and how many."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.encode import Effort, encode, encode_in_pieces
from worker.engine import Engine
from worker.engine.launch import Done
from worker.engine.tokens import Tokens, offsets_of


class Letters:
    """One token per letter, cut at four; `z` alone is never finite, and an empty text has no token."""

    token_budget = 16
    padded = False
    ahead = 0
    spec = SimpleNamespace(fingerprint="letters", dims=2, max_tokens=4)

    def __init__(self):
        self.tokenized = []

    def tokens(self, texts):
        self.tokenized += texts
        ids = [[ord(letter) for letter in text[:4]] for text in texts]
        lengths = np.array([len(one) for one in ids], dtype=np.int64)
        flat = np.array([number for one in ids for number in one], dtype=np.int32)
        return Tokens(flat, offsets_of(lengths), np.array([len(text) > 4 for text in texts], dtype=bool))

    def launch(self, ids, offsets):
        rows = [ids[begin:end] for begin, end in pairwise(offsets)]
        vectors = [[np.nan if list(row) == [122] else row.sum(), len(row)] for row in rows]
        return Done(np.array(vectors, dtype=np.float32))


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    yield engine
    engine.close()


texts = st.lists(st.text("abz", max_size=6), max_size=30)


def wanted(text):
    return [0, 0] if text in ("", "z") else [sum(map(ord, text[:4])), len(text[:4])]


@settings(deadline=None)
@given(texts=texts, pieces=st.booleans())
def test_a_text_has_its_vector_however_often_it_comes(engine, texts, pieces):
    embedder = Letters()
    if pieces:
        encoded, effort = encode_in_pieces(engine, embedder, texts, deaths=[], announce=lambda _: None)
    else:
        encoded, effort = encode(engine, embedder, texts)
    assert encoded.vectors.tolist() == [wanted(text) for text in texts]
    assert encoded.n_tokens.tolist() == [len(text[:4]) for text in texts]
    assert encoded.truncated.tolist() == [len(text) > 4 for text in texts]
    assert sorted(encoded.failures) == [row for row, text in enumerate(texts) if text in ("", "z")]
    assert effort.duplicates == len(texts) - len(embedder.tokenized)


@settings(deadline=None)
@given(texts=texts, pieces=st.booleans())
def test_where_truncation_is_an_error_such_texts_fail_and_cost_nothing(engine, texts, pieces):
    embedder = Letters()
    if pieces:
        how = {"on_truncate": "fail", "deaths": [], "announce": lambda _: None}
        encoded, effort = encode_in_pieces(engine, embedder, texts, **how)
    else:
        encoded, effort = encode(engine, embedder, texts, on_truncate="fail")
    good = [row for row, text in enumerate(texts) if len(text) <= 4 and text not in ("", "z")]
    assert [row for row in range(len(texts)) if row not in encoded.failures] == good
    assert encoded.vectors[good].tolist() == [wanted(texts[row]) for row in good]
    reasons = {row: failure.reason for row, failure in encoded.failures.items()}
    too_long = sorted(row for row, reason in reasons.items() if reason == "truncated")
    assert too_long == [row for row, text in enumerate(texts) if len(text) > 4]
    if not pieces:
        assert effort.work.encoded_tokens == sum(len(text) for text in set(texts) if len(text) <= 4)


@settings(deadline=None)
@given(texts=texts)
def test_no_text_of_a_job_is_encoded_twice(engine, texts):
    embedder = Letters()
    _, effort = encode(engine, embedder, texts)
    assert sorted(embedder.tokenized) == sorted(set(texts))
    assert effort.work.encoded_tokens == sum(len(text[:4]) for text in set(texts))


def test_efforts_add_up():
    assert Effort(duplicates=2, tokenize_seconds=1.0).plus(Effort(duplicates=3)) == Effort(
        duplicates=5, tokenize_seconds=1.0
    )
