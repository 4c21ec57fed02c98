"""Which rows a run embeds and which it deletes, kept beside its record. Knows the file, not how they are found.

One bit per row of the source and, where rows are deleted, one per row of the version that the run begins from.
"""

import hashlib
import os
from dataclasses import dataclass

from producer.bits import Bits
from schemas.files import read_bytes, written
from schemas.run import Changes, RunRecord


@dataclass(frozen=True, slots=True)
class Planned:
    """Row numbers of the source to embed, and of the base version (its files by name) to delete."""

    embed: Bits
    delete: Bits

    @property
    def digest(self) -> str:
        """A hash over both."""
        return hashlib.blake2b(self.embed.dump() + self.delete.dump(), digest_size=16).hexdigest()


def save_plan(record: RunRecord, planned: Planned) -> None:
    """Keep it, whole or not at all."""
    with written(os.path.join(record.table, record.plan_path)) as file:
        file.write(planned.embed.dump() + planned.delete.dump())


def load_plan(record: RunRecord, changes: Changes) -> Planned | None:
    """What was kept; None where it has gone or is not what the record speaks of."""
    data = read_bytes(os.path.join(record.table, record.plan_path))
    if data is None:
        return None
    split = -(-record.rows // 8)
    try:
        base_rows = changes.base_rows if changes.deleted else 0
        planned = Planned(Bits.read(data[:split], record.rows), Bits.read(data[split:], base_rows))
    except ValueError:
        return None
    return planned if planned.digest == changes.digest else None
