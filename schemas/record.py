"""The base of every record: frozen, and strict about what it does not know."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable value; an unknown field is an error, so an option that nobody reads cannot exist.

    What is wrong with one is said without the values, which may be texts or secrets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
