"""The base of every record: frozen, and strict about what it does not know."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value; an unknown field is an error, so an option that nobody reads cannot exist."""

    model_config = ConfigDict(frozen=True, extra="forbid")
