"""How a worker's process begins."""

import gc
import sys
from types import ModuleType

from worker import app


class Reading(ModuleType):
    """In place of the module that brings torch: whether garbage is looked for while it is read."""

    def __init__(self):
        super().__init__("worker.runtime")
        self.collecting = []

    def __getattr__(self, name):
        if name != "Runtime":
            raise AttributeError(name)
        self.collecting.append(gc.isenabled())
        return self


def test_what_is_read_once_is_no_garbage_to_look_for(monkeypatch):
    module = Reading()
    monkeypatch.setitem(sys.modules, "worker.runtime", module)
    try:
        assert app._read() is module
        assert module.collecting == [False]
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
