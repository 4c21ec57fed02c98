"""While what a process needs all its life is read, and only then, no garbage is looked for."""

import gc
from collections.abc import Iterator

import pytest

from worker.imports import kept


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_was_made_meanwhile_is_not_looked_at_again() -> None:
    with kept():
        assert not gc.isenabled()
        made = [object()]
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(one is made for one in gc.get_objects())


def test_an_error_changes_nothing_of_that() -> None:
    with pytest.raises(ImportError), kept():
        raise ImportError
    assert gc.isenabled()
