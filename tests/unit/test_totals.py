"""Receipts add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.receipt import COUNTERS, Totals
from tests.unit.parts import a_receipt, a_record

record = a_record("t")
receipts = st.lists(
    st.builds(
        lambda job, rows, claimed, took: a_receipt(record, job, rows=rows).model_copy(
            update={"claimed_at": claimed, "durable_at": claimed + took}
        ),
        st.integers(0, 9), st.integers(0, 99), st.floats(0, 1e6), st.floats(0, 1e3),
    ),
    min_size=1,
)  # fmt: skip


@given(receipts=receipts, order=st.randoms())
def test_totals_are_sums_and_do_not_depend_on_the_order(receipts, order):
    def total(some):
        totals = Totals()
        for receipt in some:
            totals = totals.plus(receipt)
        return totals

    shuffled = list(receipts)
    order.shuffle(shuffled)
    totals = total(receipts)
    assert total(shuffled).model_dump(exclude={"seconds"}) == totals.model_dump(exclude={"seconds"})
    assert totals.jobs == len(receipts)
    for name in COUNTERS:
        assert getattr(totals, name) == sum(getattr(receipt, name) for receipt in receipts)
    assert totals.first_claim == min(receipt.claimed_at for receipt in receipts)
    assert totals.last_durable == max(receipt.durable_at for receipt in receipts)


@given(batches=st.lists(st.integers(1, 2**20), min_size=1))
def test_spread_is_the_coefficient_of_variation_of_the_batches(batches):
    totals = Totals()
    for tokens in batches:
        receipt = a_receipt(record, 0, rows=1).model_copy(
            update={"encoded_tokens": tokens, "padded_tokens": tokens, "batches": 1, "squared_batch_tokens": tokens**2}
        )
        totals = totals.plus(receipt)
    assert totals.batch_tokens == pytest.approx(np.mean(batches))
    assert totals.batch_spread == pytest.approx(np.std(batches) / np.mean(batches), abs=1e-5)
    assert totals.padding == 1


def test_without_batches_there_is_no_spread():
    assert (Totals().batch_spread, Totals().batch_tokens, Totals().padding) == (0, 0, 0)
