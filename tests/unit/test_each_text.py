"""A text that its tokenizer raises for, or panics over, fails alone; a tokenizer that reads nothing fails the job."""

import base64
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from schemas.errors import ModelError
from tests.unit.test_encode import Letters
from worker.encode import encode
from worker.engine import Engine
from worker.engine.each_text import tokens_of_each
from worker.engine.loading import loading
from worker.engine.panics import Panicked, panics_told
from worker.engine.tokens import offsets_of


class Fussy(Letters):
    """Raises for a list with `!` in any of its texts; what it says quotes the text."""

    def tokens(self, texts):
        if any("!" in text for text in texts):
            raise ValueError(f"secret: {texts}")
        return super().tokens(texts)


class Panics(Letters):
    """Over letters that are not ASCII, by a real tokenizer with half a table of characters."""

    def __init__(self) -> None:
        super().__init__()
        whole = json.loads(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).to_str())
        table = struct.pack("<I128I", 512, *[0] * 128)
        whole["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(table).decode()}
        self._backend = Tokenizer.from_str(json.dumps(whole))

    def tokens(self, texts):
        self._backend.encode_batch_fast(list(texts))
        return super().tokens(texts)


@pytest.fixture(scope="module")
def engine():
    engine = Engine()
    yield engine
    engine.close()


@given(texts=st.lists(st.text("ab!", max_size=3), max_size=12))
def test_neighbours_get_what_they_would_get_alone(texts):
    tokens, failures = tokens_of_each(Fussy(), texts)
    assert set(failures) == {place for place, text in enumerate(texts) if "!" in text}
    assert set(failures.values()) <= {"ValueError"}
    wanted = ["" if "!" in text else text for text in texts]
    expected = Letters().tokens(wanted)
    assert tokens.lists() == expected.lists()
    assert (tokens.truncated == expected.truncated).all()
    assert (tokens.offsets == offsets_of(np.array([len(text) for text in wanted], dtype=np.int64))).all()


@pytest.mark.parametrize(("embedder", "bad"), [(Fussy(), "a!"), (Panics(), "aé")])
def test_a_bad_text_is_a_failed_row(engine, embedder, bad):
    encoded, effort = encode(engine, embedder, ["ab", bad, "b", bad, "ab"])
    assert set(encoded.failures) == {1, 3}
    assert {failure.reason for failure in encoded.failures.values()} == {"tokenize"}
    assert not any("secret" in failure.detail or bad in failure.detail for failure in encoded.failures.values())
    assert encoded.vectors[[0, 2, 4]].tolist() == [[195, 2], [98, 1], [195, 2]]
    assert effort.duplicates == 2


def test_a_tokenizer_that_reads_nothing_fails_the_job():
    broken = Letters()
    broken.tokens = lambda texts: 1 / 0
    with pytest.raises(ZeroDivisionError):
        tokens_of_each(broken, ["a", "b"])


def test_a_panic_is_an_error_and_other_ends_stay_what_they_are():
    with pytest.raises(Panicked, match="the tokenizer panicked"), panics_told("the tokenizer"):
        Panics().tokens(["é"])
    with pytest.raises(KeyboardInterrupt), panics_told("the tokenizer"):
        raise KeyboardInterrupt
    with pytest.raises(ModelError, match="cannot be loaded: a library panicked"), loading("m"):
        Panics().tokens(["é"])
    with pytest.raises(ModelError, match="m cannot be loaded: TypeError: no"), loading("m"):
        raise TypeError("no")
