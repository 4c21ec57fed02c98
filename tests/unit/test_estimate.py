"""What a dry run says of tokens and time: right within its error, and honest where it cannot know."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from producer import side_door
from producer.bits import Bits
from producer.forecast import cost, estimate, sampling
from producer.forecast.sampling import mean_of, sample, share_of
from producer.request import Where
from schemas.errors import ModelError
from schemas.spec import Module
from tests.unit.parts import a_spec
from tests.unit.source.corpora import opened, write_jsonl

ROWS = 300


@pytest.fixture
def source(tmp_path):
    """Rows of 1 to 30 words; each text begins with its number, and every tenth is null."""
    rows = [{"id": f"d{n}", "text": None if n % 10 == 0 else " ".join([str(n)] * (1 + n % 30))} for n in range(ROWS)]
    return opened(write_jsonl(tmp_path / "corpus.jsonl", rows))


@pytest.fixture
def spec(tmp_path):
    """A model of which only the tokenizer is there: a word a token, one special token before each text."""
    vocab = {str(n): n for n in range(ROWS)} | {"[UNK]": ROWS, "[CLS]": ROWS + 1}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", ROWS + 1)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return a_spec(model=str(tmp_path), modules=(Module(kind="Transformer"),), max_tokens=21, prompt="a query: ")


def only(monkeypatch, *installed):
    monkeypatch.setattr(cost, "find_spec", lambda name: name in installed or None)


def test_without_torch_the_tokenizer_counts_and_the_time_is_unknown(source, spec, monkeypatch):
    only(monkeypatch, "tokenizers")
    found = estimate(spec, source, Bits.all(ROWS), Where())
    lengths = [1 + 2 + 1 + n % 30 for n in range(ROWS) if n % 10]
    assert (found.sample, found.truncated) == (270, pytest.approx(np.mean([length > 21 for length in lengths])))
    mean = np.mean([min(length, 21) for length in lengths])
    assert found.tokens == pytest.approx(mean * 270, abs=1)
    assert (found.worker_hours, found.hours) == (None, None)
    told = "\n".join(found.lines())
    assert "torch is not installed here" in told
    assert "would be truncated" in told


def test_without_a_tokenizer_it_says_so(source, spec, monkeypatch):
    only(monkeypatch)
    found = estimate(spec, source, Bits.all(ROWS), Where())
    assert (found.tokens, found.truncated, found.worker_hours) == (None, None, None)
    assert "for want of a tokenizer (pip install 'vecmill[chunks]')" in "\n".join(found.lines())


def test_a_model_that_cannot_be_tried_is_no_failure(source, spec, monkeypatch):
    def broken(*_, **__):
        raise ModelError("no weights here")

    monkeypatch.setattr(side_door, "measure", broken)
    found = estimate(spec, source, Bits.all(ROWS), Where())
    assert found.tokens is not None
    assert "the model could not be tried here: no weights here" in found.unknown


def test_hours_follow_from_the_speed_and_the_workers(source, spec, monkeypatch):
    asked = {}

    def measured(_, texts, **options):
        asked.update(options, texts=len(texts))
        facts = {"tokens": [10] * len(texts), "truncated": [False] * len(texts), "device": "cpu", "dtype": "float32"}
        return facts | {"tokens_per_second": 100.0}

    monkeypatch.setattr(side_door, "measure", measured)
    some = Bits(ROWS)
    some.add(np.array([1, 2, 3, 11, 12]))
    found = estimate(spec, source, some, Where(workers=2, device="cpu"))
    assert (found.sample, asked["texts"], asked["env"]["OMP_NUM_THREADS"]) == (5, 5, "1")
    assert (found.tokens, found.tokens_error, found.truncated, found.truncated_error) == (50, 0, 0, 0)
    assert (found.worker_hours, found.hours) == (pytest.approx(50 / 100 / 3600), pytest.approx(25 / 100 / 3600))
    assert "about 0 seconds with 2 of them" in "\n".join(found.lines())


def test_where_nothing_would_be_encoded_nothing_is_measured(source, spec):
    assert estimate(spec, source, Bits(ROWS), Where()).sample == 0


def test_every_row_is_as_likely_as_another(source, monkeypatch):
    monkeypatch.setattr(sampling, "SAMPLE_ROWS", 30)
    seen = np.zeros(ROWS)
    for seed in range(60):
        monkeypatch.setattr(sampling, "_SEED", seed)
        texts, readable = sample(source, Bits.all(ROWS))
        assert 0.5 < readable <= 1
        assert len(texts) <= 30
        seen[[int(text.split()[0]) for text in texts]] += 1
    drawn = seen[np.arange(ROWS) % 10 != 0]
    assert abs(drawn[:135].mean() - drawn[135:].mean()) < 1, "early and late rows come alike"
    assert 4 < drawn.mean() < 8


def test_long_texts_make_a_smaller_sample_that_is_as_fair(source, monkeypatch):
    monkeypatch.setattr(sampling, "_SAMPLE_BYTES", 2_000)
    late = []
    for seed in range(30):
        monkeypatch.setattr(sampling, "_SEED", seed)
        texts, readable = sample(source, Bits.all(ROWS))
        assert 0.5 < readable <= 1
        assert sum(map(len, texts)) <= 2_000
        late.append(np.mean([int(text.split()[0]) >= ROWS / 2 for text in texts]))
    assert 0.4 < np.mean(late) < 0.6


def test_the_error_is_what_it_says():
    random = np.random.default_rng(1)
    population = random.lognormal(3, 1, 20_000)
    inside = 0
    for _ in range(200):
        mean, error = mean_of(random.choice(population, 1_000, replace=False), len(population))
        inside += abs(mean - population.mean()) <= error
    assert 170 <= inside <= 200
    assert mean_of(population, len(population)) == (pytest.approx(population.mean()), 0)
    share, error = share_of(np.zeros(1_000, bool), 20_000)
    assert (share, error) == (0, 0.003)
