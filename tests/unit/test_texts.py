"""What is no text, or no path, is refused by name: the place and the type."""

import pytest

import producer
from schemas.errors import UsageError
from schemas.text import check_texts


@pytest.mark.parametrize(
    ("value", "kind"),
    [(None, "NoneType"), (5, "int"), (1.5, "float"), (True, "bool"), (b"a", "bytes"), (("a", "b"), "tuple")],
)
def test_a_value_that_is_no_text(value, kind):
    with pytest.raises(UsageError, match=f"^text 2 is of type {kind}, not str"):
        check_texts(["", "a", value, None])


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "é\udc80"])
def test_half_of_a_surrogate_pair(text):
    with pytest.raises(UsageError, match=r"^text 1 holds half of a surrogate pair"):
        check_texts(["a 👩 é \0", text])


@pytest.mark.parametrize("text", ["mill", b"mill"])
def test_one_text_is_no_list_of_texts(text):
    with pytest.raises(UsageError, match="one text where a list of texts belongs"):
        check_texts(text)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["a.jsonl", None], "source 1 is of type NoneType, not a path"),
        ([3], "source 0 is of type int, not a path"),
        (None, "source 0 is of type NoneType, not a path"),
        ([b"a.jsonl"], "source 0 is of type bytes, not a path"),
    ],
)
def test_a_source_that_is_no_path(source, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        producer.embed(source, model=tmp_path, to=tmp_path / "table")
    assert not (tmp_path / "table").exists()
