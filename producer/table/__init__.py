"""The table: a folder of parts and a Delta log over them. Knows no queue and no model."""

from producer.table.base import check_base
from producer.table.check import check_covered, check_table
from producer.table.commit import commit, committed_version, committed_versions
from producer.table.history import Version, history
from producer.table.parts import Part, list_parts, sweep
from producer.table.planned import Planned, load_plan, save_plan
from producer.table.read import read
from producer.table.spec_changes import spec_changes
from producer.table.state import TableState, open_table, read_record
from producer.table.twins import NO_TWINS, TwinCounts, TwinFiles, count_twins, write_twins

__all__ = [
    "NO_TWINS",
    "Part",
    "Planned",
    "TableState",
    "TwinCounts",
    "TwinFiles",
    "Version",
    "check_base",
    "check_covered",
    "check_table",
    "commit",
    "committed_version",
    "committed_versions",
    "count_twins",
    "history",
    "list_parts",
    "load_plan",
    "open_table",
    "read",
    "read_record",
    "save_plan",
    "spec_changes",
    "sweep",
    "write_twins",
]
