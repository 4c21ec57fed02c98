"""Writes docs/models.md from what the parity tests took down.

VECMILL_PARITY_TABLE=rows.json pytest tests/parity && python -m tests.parity.table rows.json
"""

import json
import sys
from pathlib import Path

from tests.parity.record import LAYOUTS

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
COLUMNS = ("layout", "status", "largest difference", "notes")

#: What stands above the table.
HEAD = Path(__file__).with_name("models_head.md")


def page(rows: list[dict[str, object]]) -> str:
    """The whole page; rows of one layout become one, with the largest of their differences."""
    order = {layout: place for place, layout in enumerate(LAYOUTS)}
    layouts = sorted({str(row["layout"]) for row in rows}, key=lambda name: (order.get(name, len(order)), name))
    lines = [
        COLUMNS,
        ("---",) * len(COLUMNS),
        *(_line([row for row in rows if row["layout"] == one]) for one in layouts),
    ]
    return HEAD.read_text() + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _line(rows: list[dict[str, object]]) -> tuple[str, ...]:
    differences = [float(str(row["largest_difference"])) for row in rows if row["largest_difference"] is not None]
    notes = dict.fromkeys(str(row["note"]) for row in rows if row["note"])
    statuses = dict.fromkeys(str(row["status"]) for row in rows)
    largest = f"{max(differences):.0e}" if differences else ""
    return (str(rows[0]["layout"]), ", ".join(statuses), largest, "; ".join(notes))


def rows_of(text: str) -> list[dict[str, str]]:
    """The rows of the page's last table."""
    table = text.rpartition(f"| {' | '.join(COLUMNS)} |\n")[2].splitlines()[1:]
    return [
        dict(zip(("layout", "status", "largest_difference", "note"), (cell.strip() for cell in cells), strict=True))
        for line in table
        if len(cells := line.strip()[1:-1].split("|")) == len(COLUMNS)
    ]


def main() -> None:
    """Write the page from a file of rows."""
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
