"""The kernels themselves."""

import pytest

from worker.engine.kernels import kernels, why_none


@pytest.fixture
def own():
    made = kernels()
    assert made is not None, why_none()
    return made
