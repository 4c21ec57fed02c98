"""What holds for every test: no model hub, whatever the environment says, and one thread per process."""

import gc
import os

from hypothesis import settings

# A deadline is an assertion about time, and machines are shared.
settings.register_profile("untimed", deadline=None)
# `make fuzz`: many examples, none of them twice a day.
settings.register_profile("fuzz", deadline=None, max_examples=int(os.environ.get("VECMILL_FUZZ_EXAMPLES", "20000")))
settings.load_profile(os.environ.get("VECMILL_HYPOTHESIS", "untimed"))
# Before anything imports huggingface_hub, which reads it once; child processes inherit it.
os.environ["HF_HUB_OFFLINE"] = "1"
# Before anything imports torch: two OpenMP threads collapse where another process needs a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure() -> None:
    """Until all tests are read, nothing that is made is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor is what was read then: looking for garbage in all of torch took 8% where it was measured."""
    gc.freeze()
    gc.enable()
