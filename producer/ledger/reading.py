"""Records that were kept in Redis, where anybody may have written."""

from typing import TypeVar

from pydantic import ValidationError

from schemas.record import Record

_Kind = TypeVar("_Kind", bound=Record)


def read(kind: type[_Kind], text: bytes) -> _Kind | None:
    """A record of ours; None where somebody else, or a newer version, wrote something that is none."""
    try:
        return kind.model_validate_json(text)
    except ValidationError:
        return None
