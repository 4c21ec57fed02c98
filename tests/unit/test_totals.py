"""Receipts add up."""

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
