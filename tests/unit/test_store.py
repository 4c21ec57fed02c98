"""Which vectors are finite, against a look at each number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from schemas.store import finite_rows

numbers = st.one_of(st.floats(width=32), st.sampled_from([np.inf, -np.inf, np.nan, 3e38, -3e38, 0.0]))
vectors = arrays.arrays(np.float32, st.tuples(st.integers(0, 5), st.integers(1, 9)), elements=numbers)


@given(vectors=vectors)
def test_a_row_is_finite_when_each_of_its_numbers_is(vectors):
    assert finite_rows(vectors).tolist() == np.isfinite(vectors).all(axis=1).tolist()


def test_a_sum_that_overflows_is_no_infinite_vector():
    assert finite_rows(np.full((2, 4), 3e38, dtype=np.float32)).tolist() == [True, True]
