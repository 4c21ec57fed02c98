"""What runs on an NVIDIA GPU alone: `make test-gpu`. Elsewhere these tests are not run, and not counted as passed."""

import pytest
import torch

_LEFT_OUT = pytest.StashKey[bool]()


def pytest_collection_modifyitems(config, items):
    """Every test here is marked, and left out where no GPU can be used."""
    here = [item for item in items if "tests/gpu/" in item.nodeid]
    for item in here:
        item.add_marker(pytest.mark.gpu)
    if here and not torch.cuda.is_available():
        config.stash[_LEFT_OUT] = True
        config.hook.pytest_deselected(items=here)
        items[:] = [item for item in items if item not in here]
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(f"no GPU here: {len(here)} tests of tests/gpu are NOT RUN", red=True)


def pytest_sessionfinish(session, exitstatus):
    """All left out for want of a GPU is no failure; the line above says it."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(_LEFT_OUT, False):
        session.exitstatus = pytest.ExitCode.OK


@pytest.fixture
def cuda():
    return torch.device("cuda", torch.cuda.current_device())
