"""What goes wrong while a model is loaded, said in one way: whatever its files provoke, the model is at fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from schemas.errors import ModelError, VecmillError
from worker.engine.panics import Panicked, panics_told


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """Raise `ModelError` for all that the block raises but a lost device and errors of ours."""
    try:
        with panics_told("a library"):
            yield
    except Panicked as cause:
        raise ModelError(f"the model in {folder} cannot be loaded: {cause}", way_out="fetch the model again") from None
    except (VecmillError, torch.AcceleratorError):
        raise
    except Exception as cause:
        raise ModelError(
            f"the model in {folder} cannot be loaded: {type(cause).__name__}: {cause}", way_out="fetch the model again"
        ) from cause
