"""Which columns of a file are the id, the text and the kept ones. Knows the names and types, not the format."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from producer.source.nested import with_nested
from producer.source.template import Template
from producer.source.types import alike, delta_type, is_text
from schemas.arrow import RESERVED_COLUMNS, UNKNOWN
from schemas.errors import SourceError
from schemas.nearest import nearest
from schemas.run import SourceOptions


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns to read from one file; `id` is None where the position is the id.

    `kept` are fields of the table, `sources` the names of their columns in the file, one each. `deleted` is the column
    that makes tombstones, if any does.
    """

    id: str | None
    text: Template
    kept: tuple[pa.Field, ...]
    sources: tuple[str, ...] = ()
    deleted: str | None = None

    @property
    def names(self) -> list[str]:
        """Each column once, in the order it is read."""
        return list(dict.fromkeys([*_named(self.id), *self.text.columns, *self.sources, *_named(self.deleted)]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of every file; `kept` is known once the first file has fixed the types."""

    options: SourceOptions
    kept: tuple[pa.Field, ...] | None = None

    @property
    def text(self) -> Template:
        """Of which columns the text is made."""
        return Template.of(self.options.text_column or "text")

    @property
    def names(self) -> list[str]:
        """Every column that was asked for by its name."""
        options = self.options
        return [*_named(options.id_column), *self.text.columns, *options.keep, *_named(options.deleted_column)]

    @property
    def typed(self) -> list[str]:
        """The columns that are more than texts, also where a file does not say so."""
        return [*self.options.keep, *_named(self.options.deleted_column)]

    def resolve(self, path: str, available: pa.Schema) -> Columns:
        """The columns of one file, or a SourceError that names the ones there are."""
        available = with_nested(available, self.names)
        text = self.text
        for name in text.columns:
            field = available.field(self._column(path, available, name, "--text-column"))
            if not is_text(field.type) and (text.is_column or not pa.types.is_integer(field.type)):
                _wrong_type(path, field, "texts" if text.is_column else "texts or integers")
        sources = tuple(name for name in dict.fromkeys(self.options.keep) if not self._is_the_id(name))
        id_, kept = self._id(path, available), self._kept(path, available, sources)
        return Columns(id_, text, kept, sources, self._deleted(path, available, id_))

    def _id(self, path: str, available: pa.Schema) -> str | None:
        if self.options.id_column is None and "id" not in available.names:
            return None
        name = self._column(path, available, self.options.id_column or "id", "--id-column")
        type_ = available.field(name).type
        if not is_text(type_) and not pa.types.is_integer(type_):
            _wrong_type(path, available.field(name), "ids (texts or integers)")
        return name

    def _deleted(self, path: str, available: pa.Schema, id_: str | None) -> str | None:
        if self.options.deleted_column is None:
            return None
        if id_ is None:
            raise SourceError(f"{path} has no id column, so no tombstone names a row", way_out="--id-column C")
        name = self._column(path, available, self.options.deleted_column, "--deleted-column")
        type_ = available.field(name).type
        if not pa.types.is_boolean(type_) and not pa.types.is_null(type_):
            _wrong_type(path, available.field(name), "true, false or null (booleans)")
        return name

    def _kept(self, path: str, available: pa.Schema, sources: tuple[str, ...]) -> tuple[pa.Field, ...]:
        fields: list[pa.Field] = []
        for source in sources:
            # Readers take a dot in a column's name for a path, or refuse it.
            name = source.replace(".", "_")
            check_keepable(name, [field.name for field in fields])
            column = available.field(self._column(path, available, source, "--keep"))
            becomes = delta_type(column.type)
            if becomes is None:
                raise SourceError(
                    f"{path}: column {source} is {column.type}, which a Delta table cannot hold", way_out="leave it out"
                )
            fields.append(pa.field(name, becomes, metadata=column.metadata if column.metadata == UNKNOWN else None))
        if self.kept is None:
            return tuple(fields)
        _check_alike(path, fields, self.kept)
        return self.kept

    def _is_the_id(self, name: str) -> bool:
        return name.lower() == "id" and name == (self.options.id_column or "id")

    def _column(self, path: str, available: pa.Schema, name: str, option: str) -> str:
        count = available.names.count(name)
        if count != 1:
            problem = f"has no column {name}" if count == 0 else f"has {count} columns named {name}"
            guess = nearest(name, available.names) if count == 0 else None
            raise SourceError(
                f"{path} {problem}; its columns: {', '.join(available.names)}",
                way_out=f"{option} {guess}, perhaps" if guess else f"{option} COLUMN, one of these",
            )
        return name


def _check_alike(path: str, fields: list[pa.Field], first_file: tuple[pa.Field, ...]) -> None:
    for field, first in zip(fields, first_file, strict=True):
        if field.metadata != UNKNOWN and not alike(field.type, first.type):
            raise SourceError(
                f"{path}: column {field.name} is {field.type}, but {first.type} in the first file",
                way_out="make the files agree, or leave the column out",
            )


def check_keepable(name: str, others: Sequence[str] = ()) -> None:
    """Refuse a kept column whose name the table needs for itself, or for another one; `ID` is `id` to a table."""
    folded = name.lower()
    if folded in map(str.lower, others):
        raise SourceError(f"two kept columns would be named {folded} (case does not count)", way_out="leave one out")
    if folded in RESERVED_COLUMNS:
        ours = {"text": "--keep-text stores the texts", "id": f"--id-column {name}, if it is the id"}
        raise SourceError(
            f"a kept column cannot be named {name}: the table has its own {folded}",
            way_out=ours.get(folded, "rename the column in the source"),
        )


def _wrong_type(path: str, field: pa.Field, needed: str) -> None:
    raise SourceError(
        f"{path}: column {field.name} is {field.type}; needed are {needed}", way_out="choose another column"
    )


def _named(name: str | None) -> list[str]:
    return [name] if name else []
