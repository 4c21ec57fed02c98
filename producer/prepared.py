"""A run that could begin: its record, and what goes beside it. Nothing is written before it is told to."""

import os
from typing import NamedTuple

from producer import records
from producer.bits import Bits
from producer.chunk.cuts import Cuts
from producer.source import Corpus
from producer.table import Planned, save_plan
from producer.twins import save_twins
from schemas.run import RunRecord


class Prepared(NamedTuple):
    """A run as it would be: its record, which rows would get vectors or go, the twins, and where texts are cut.

    None where all rows would get vectors and none go, where there are no twins, and where texts stay whole. `rows` is
    what all numbers of rows are about.
    """

    record: RunRecord
    planned: Planned | None
    twins: Bits | None
    cuts: Cuts | None
    rows: Corpus

    @property
    def encoded(self) -> Bits:
        """The rows that would go through the model."""
        if self.record.unchanged:
            return Bits(self.record.rows)
        wanted = Bits.all(self.record.rows) if self.planned is None else self.planned.embed
        return wanted if self.twins is None else wanted.without(self.twins)

    def save(self) -> None:
        """Write it beside the table; the record last, so that where it is, all is."""
        if self.cuts is not None:
            self.cuts.save(os.path.join(self.record.table, self.record.cuts_path))
        if self.planned is not None:
            save_plan(self.record, self.planned)
        if self.twins is not None:
            save_twins(self.record, self.twins)
        records.save(self.record)
