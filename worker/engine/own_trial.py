"""A model with modules of its own code, tried with one text when it is loaded: whether they fit, and how wide they are.

A run was planned where none of that code ran, so what its files say of it is checked here, before any job.
"""

from collections.abc import Callable

import numpy as np

from schemas.errors import ModelError, VecmillError
from schemas.model_own import is_own, width_way_out
from schemas.spec import Spec
from worker.engine.tokens import Ids, Offsets, Tokens, Vectors


def check_vectors(forward: Callable[[Ids, Offsets], Vectors], tokens: Tokens, spec: Spec) -> None:
    """Refuse modules that do not work together, and vectors of another width than the spec's."""
    own = [module for module in spec.modules if is_own(module.kind)]
    names = ", ".join(module.kind for module in own)
    try:
        vectors = forward(*tokens.take(np.arange(len(tokens))))
    except VecmillError:
        raise
    except Exception as cause:  # code of anyone's: whatever it raises, it means the same
        raise ModelError(
            f"a text does not go through {spec.model} with {names}: {type(cause).__name__}: {cause}",
            way_out="if sentence-transformers runs it, its modules hand on more than token_embeddings and "
            "sentence_embedding, which is not supported",
        ) from cause
    if vectors.ndim != 2 or vectors.shape[1] != spec.dims:
        raise ModelError(
            f"the vectors of {spec.model} have {vectors.shape[-1]} dimensions, where its files say {spec.dims}",
            way_out=width_way_out(own[-1], vectors.shape[-1]),
        )
