"""What the parity tests found, layout by layout: the rows that docs/models.md is made of.

With VECMILL_PARITY_TABLE=FILE the rows are written there, as JSON, when the tests end.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

#: Every layout that a test compares with the oracle, in the order of docs/models.md.
LAYOUTS = (
    "Pooling: cls",
    "Pooling: mean",
    "Pooling: max",
    "Pooling: mean_sqrt_len_tokens",
    "Pooling: weightedmean",
    "Pooling: lasttoken",
    "Pooling: several modes, joined",
    "Pooling: the old flags",
    "Pooling without the prompt's tokens",
    "Normalize",
    "Dense, then LayerNorm, then Normalize",
    "RoBERTa-like positions",
    "decoder, padded on the left",
    "T5 encoder",
    "plain checkpoint, no modules.json",
    "all-MiniLM-L6-v2",
    "module of an unknown type",
)


@pytest.fixture(scope="session")
def rows_taken_down():
    rows = []
    yield rows
    place = os.environ.get("VECMILL_PARITY_TABLE")
    if place and rows:
        Path(place).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


@pytest.fixture
def recorded(rows_taken_down):
    """Take down what a layout came to: `recorded(layout, ours, wanted)`, or with a status where it has no vectors."""

    def record(layout, ours=None, wanted=None, *, status="equal", note=""):
        assert layout in LAYOUTS, f"{layout!r} is not among the layouts of {__file__}"
        difference = None
        if ours is not None:
            scale = max(1.0, float(np.linalg.norm(wanted, axis=1).max()))
            difference = float(np.abs(np.asarray(ours, np.float64) - wanted).max() / scale)
        rows_taken_down.append({"layout": layout, "status": status, "largest_difference": difference, "note": note})

    return record


@pytest.fixture
def record(rows_taken_down, request):
    """Notes one comparison for docs/models.md, by the name of its test unless it has a better one."""

    def note(largest, *, layout="", status="equal", note=""):
        name = layout or named_by(request.node.name)
        rows_taken_down.append({"layout": name, "status": status, "largest_difference": largest, "note": note})

    return note


def named_by(test):
    """`test_encoders[bert-wordpiece-True]` belongs to the layout `encoders`."""
    return test.removeprefix("test_").partition("[")[0].replace("_", " ")
