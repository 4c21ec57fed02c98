"""Addresses are shown without their passwords."""

import pytest

from producer.broker import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://user:se%40cret@host/1", "rediss://user:***@host/1"),
        ("redis://host:6379/0", "redis://host:6379/0"),
    ],
)
def test_a_password_is_hidden_and_nothing_else(url, shown):
    assert without_password(url) == shown
