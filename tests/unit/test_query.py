import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producer.query import query, search
from schemas.errors import UsageError
from schemas.run import SourceOptions
from tests.unit.parts import DIMS, a_record, encode, vector_of
from tests.unit.table.test_commit import TEXTS, committed


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("query") / "t"
    committed(a_record(folder, rows=25, source=SourceOptions(paths=("x",), keep_text=True)))
    return str(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 30))
def test_the_hits_are_those_of_the_full_product(table, seed, k):
    wanted = np.random.default_rng(seed).standard_normal(DIMS).astype(np.float32) * 3
    scores = encode(TEXTS) @ (wanted / np.linalg.norm(wanted))
    expected = [f"d{n}" for n in np.argsort(-scores, kind="stable")[:k]]
    hits = search(table, wanted, k=k)
    assert [hit.id for hit in hits] == expected
    assert np.allclose([hit.score for hit in hits], np.sort(scores)[::-1][:k], atol=1e-6)


def test_a_text_finds_itself_with_its_columns(table):
    hit, *_ = query(table, TEXTS[7], encode=vector_of, k=3)
    assert (hit.id, hit.chunk, hit.columns["text"]) == ("d7", 0, TEXTS[7])
    assert hit.score == pytest.approx(1, abs=1e-6)
    assert set(hit.columns) == {"text", "n_tokens", "truncated"}


@pytest.mark.parametrize("vector", [np.zeros(DIMS), np.full(DIMS, np.nan), np.ones(DIMS + 1)])
def test_a_vector_that_cannot_be_searched_for_is_refused(table, vector):
    with pytest.raises(UsageError):
        search(table, vector.astype(np.float32))
