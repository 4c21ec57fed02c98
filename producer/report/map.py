"""The sample as dots in a plane, coloured by a column of few values where one was kept."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from producer.report.plane import flatten
from producer.report.sample import Sample

_COLOURS = 7
_OTHERS = "c7"
#: A column with so many different values colours nothing.
_MOST_VALUES = 200
_LONGEST_TEXT = 280
_OURS = frozenset({"id", "text", "chunk", "start", "end", "n_tokens", "truncated", "text_hash"})


class Dot(NamedTuple):
    """One row: its place in a square of 1000 x 1000, its colour, and what is said of it, line by line."""

    x: float
    y: float
    colour: str
    title: str
    text: str


class Map(NamedTuple):
    """All dots, what the colours mean, and the share of the variance that the plane shows."""

    dots: tuple[Dot, ...]
    column: str | None
    legend: tuple[tuple[str, str, int], ...]
    share: float


def draw(sample: Sample) -> Map:
    """The sample in its plane."""
    plane = flatten(sample.vectors)
    span = np.abs(plane.places).max(axis=0)
    scaled = 500 + 470 * np.divide(plane.places, span, out=np.zeros_like(plane.places), where=span > 0)
    column = _telling_column(sample.rows)
    values = _values(sample.rows, column) if column else [""] * len(sample.rows)
    common = Counter(values).most_common(_COLOURS) if column else []
    colours = {value: f"c{at}" for at, (value, _) in enumerate(common)}
    default = _OTHERS if column else "c0"
    dots = tuple(
        Dot(round(x, 1), round(1000 - y, 1), colours.get(value, default), title(row), snippet(row, value))
        for (x, y), value, row in zip(scaled.tolist(), values, sample.rows.to_pylist(), strict=True)
    )
    rest = len(values) - sum(count for _, count in common)
    others = ((_OTHERS, "all others", rest),) if column and rest else ()
    legend = tuple((colours[value], value, count) for value, count in common)
    return Map(dots, column, legend + others, sum(plane.shares))


def title(row: dict[str, Any]) -> str:
    """A row's name: its id, and which chunk of it, where it has several."""
    return f"{row['id']} (chunk {row['chunk']})" if row.get("chunk") else str(row["id"])


def snippet(row: dict[str, Any], more: str = "") -> str:
    """The beginning of a row's text, where the table holds it; else what else is known of the row."""
    words = " ".join(str(row.get("text") or "").split())
    shown = words if len(words) <= _LONGEST_TEXT else f"{words[: _LONGEST_TEXT - 1]}…"
    facts = [more, f"{row['n_tokens']:,} tokens" + (", truncated" if row["truncated"] else "")]
    return "\n".join([*([shown] if shown else []), ", ".join(fact for fact in facts if fact)])


def _telling_column(rows: pa.Table) -> str | None:
    """The kept column of texts or truths that has the fewest values, but more than one."""
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, pa.types.is_dictionary)
    counts = {
        name: len(set(_values(rows, name)))
        for name in rows.column_names
        if name not in _OURS and any(of(rows.schema.field(name).type) for of in kinds)
    }
    telling = {name: count for name, count in counts.items() if 1 < count <= _MOST_VALUES}
    return min(telling, key=telling.__getitem__, default=None)


def _values(rows: pa.Table, name: str) -> list[str]:
    return ["(none)" if value is None else str(value) for value in rows.column(name).to_pylist()]
