r"""How the text of a row is put together: one column, or several with text between them.

`{title}\n\n{body}` names two columns. `\n`, `\t` and `\\` are a newline, a tab and a backslash, since a shell hands
them through as they were typed; `{{` and `}}` are braces. A null column leaves its place empty; with all of them null
the text is null.
"""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import SourceError

_ESCAPES = {r"\n": "\n", r"\t": "\t", r"\\": "\\"}


@dataclass(frozen=True, slots=True)
class Template:
    """`literals` stand before, between and behind the `columns`: there is one more of them."""

    columns: tuple[str, ...]
    literals: tuple[str, ...]

    @classmethod
    def of(cls, option: str) -> "Template":
        """What `--text-column` says; a SourceError where it is no template, though it has braces."""
        if "{" not in option and "}" not in option:
            return cls((option,), ("", ""))
        try:
            parts = list(string.Formatter().parse(option))
        except ValueError as error:
            raise _wrong(option, str(error)) from None
        columns, literals = [], [""]
        for literal, column, format_, conversion in parts:
            literals[-1] += _unescaped(literal)
            if column is not None:
                if not column or format_ or conversion:
                    raise _wrong(option, "between braces stands the name of a column, and nothing else")
                columns.append(column)
                literals.append("")
        if not columns:
            raise _wrong(option, "it names no column")
        return cls(tuple(columns), tuple(literals))

    @property
    def is_column(self) -> bool:
        """Whether the text is a column as it is."""
        return len(self.columns) == 1 and not any(self.literals)

    def joined(self, columns: Sequence[pa.Array]) -> pa.Array:
        """The texts of some rows, from their columns of strings."""
        if self.is_column:
            return columns[0]
        parts: list[pa.Array | pa.Scalar] = [pa.scalar(self.literals[0])]
        for column, literal in zip(columns, self.literals[1:], strict=True):
            parts += [column, pa.scalar(literal)]
        texts = pc.binary_join_element_wise(*parts, "", null_handling="replace")
        none = pa.repeat(pa.scalar(True), len(texts))
        for column in columns:
            none = pc.and_(none, pc.is_null(column))
        return pc.if_else(none, pa.scalar(None, pa.string()), texts)


def _unescaped(literal: str) -> str:
    return re.sub(r"\\[nt\\]", lambda found: _ESCAPES[found[0]], literal)


def _wrong(option: str, why: str) -> SourceError:
    return SourceError(f"--text-column {option!r} is no template: {why}", way_out=r"--text-column '{title}\n\n{body}'")
