"""A real fault of the device, which only a new process recovers from: in a child, since this one must go on."""

import subprocess
import sys

_CHILD = """
import numpy as np, sys, torch
from worker.engine import Embedder, Engine
embedder = Embedder.load(sys.argv[1], device="cuda", dtype="bfloat16")
engine = Engine()
good = embedder.tokens(["w1 w2 w3"] * 50)
engine.submit(embedder, good).result(60)
bad = embedder.tokens(["w1 w2 w3"] * 50)
bad.ids[7] = 10**8  # far outside of the table of embeddings
try:
    engine.submit(embedder, bad).result(60)
except Exception as error:
    print("ended:", type(error).__name__, "alive:", engine.alive, flush=True)
import os; os._exit(0)
"""


def test_an_error_of_the_device_stops_the_engine(tmp_path):
    from tests.gpu.networks import folder_of

    child = [sys.executable, "-c", _CHILD, str(folder_of("bert", tmp_path))]
    done = subprocess.run(child, capture_output=True, text=True, timeout=300, check=False)
    assert "ended: VecmillError alive: False" in done.stdout, done.stderr[-2000:]
