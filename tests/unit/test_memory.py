"""Which workers keep their freed memory: those whose batches live in it."""

import pytest

from worker import models


@pytest.mark.parametrize(("device", "keeps"), [("cpu", 1), ("meta", 0)])
def test_only_a_worker_on_a_cpu_keeps_freed_memory(device: str, keeps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(models, "keep_freed_memory", lambda: asked.append(device))
    models.Models(device=device, threads=1)
    assert len(asked) == keeps
