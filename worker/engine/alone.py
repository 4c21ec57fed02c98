"""Texts through an embedder on the calling thread, batch by batch, with nobody else's beside them."""

from collections import deque

import numpy as np

from schemas.errors import VecmillError
from worker.engine.batching import WaitingPool
from worker.engine.launch import Encodes, Launched
from worker.engine.tokens import Index, Tokens, Vectors


def encode_alone(embedder: Encodes, tokens: Tokens, *, budget: int | None = None) -> Vectors:
    """float32 [texts, dims], in order; `budget` in place of the embedder's own."""
    costs = tokens.costs
    if not costs.all():
        raise VecmillError(f"text {int(np.argmin(costs))} has no token", way_out="leave empty texts out")
    vectors = np.empty((len(tokens), embedder.spec.dims), dtype=np.float32)
    pool = WaitingPool[str](padded=embedder.padded)
    pool.add("texts", costs)
    flying: deque[tuple[Index, Launched]] = deque()
    while pool or flying:
        if pool and len(flying) <= embedder.ahead:
            rows = np.concatenate([rows for _, rows in pool.take(budget or embedder.token_budget)])
            flying.append((rows, embedder.launch(*tokens.take(rows))))
        else:
            rows, launched = flying.popleft()
            vectors[rows] = launched.collect()
    return vectors
