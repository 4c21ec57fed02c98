"""The command a process without torch talks to: one JSON object out, or one .npy file, and errors on stderr."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import tiny_models as tiny
from parity_checks import assert_same_vectors
from sentence_transformers.sentence_transformer.modules import Normalize

from schemas.spec import Spec
from worker.engine import Embedder
from worker.engine.measure import measure
from worker.side_door import main


@pytest.fixture
def folder(base, tmp_path):
    return tiny.saved(tmp_path / "m", base("bert"), Normalize(), prompts={"query": "query: "})


def call(*arguments, given=b""):
    return subprocess.run([sys.executable, "-m", "worker", *arguments], input=given, capture_output=True, timeout=120)


def test_inspect_then_embed(folder):
    options = ["--dims", "8", "--normalize", "--prompt-name", "query", "--dtype", "float32"]
    done = call("inspect", str(folder), *options, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    spec = Spec.model_validate(facts["spec"])
    assert (spec.dims, spec.prompt, facts["fingerprint"]) == (8, "query: ", spec.fingerprint)
    assert (facts["device"], facts["dtype"], facts["forward"]) == ("cpu", "float32", "packed")
    assert facts["reason"]
    given = json.dumps({"spec": facts["spec"], "texts": tiny.TEXTS, "device": "cpu"}).encode()
    done = call("embed", given=given)
    assert done.returncode == 0, done.stderr
    assert_same_vectors(np.load(io.BytesIO(done.stdout)), Embedder.from_spec(spec).embed(tiny.TEXTS))


def test_measure(folder):
    embedder = Embedder.load(folder, dtype="float32")
    texts = ["one", "a longer text than the other", "word " * 10_000]
    facts = measure(embedder, texts, seconds=0.05)
    assert facts["tokens"] == [len(ids) for ids in embedder.tokenize(texts, prompt=embedder.spec.prompt)]
    assert facts["truncated"] == [False, False, True]
    assert facts["tokens_per_second"] > 0
    assert (facts["device"], facts["dtype"]) == ("cpu", "float32")
    assert measure(embedder, [], seconds=0.05)["tokens_per_second"] is None


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        (["inspect", "./nowhere"], "", "./nowhere is no folder"),
        (["inspect", "./nowhere", "--task", "neither"], "", "task"),
        (["embed"], "{}", "no request on stdin"),
        (["measure"], "[]", "no request on stdin"),
    ],
)
def test_errors(arguments, given, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    # As it ends the process: what a refused argument raises, or what is given back.
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(arguments))
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err
