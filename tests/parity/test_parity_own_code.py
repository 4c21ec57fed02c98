"""Networks of a model's own code: run only where they are trusted, and then as sentence-transformers runs them."""

import json
import shutil

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, cosines, load_oracle
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize
from transformers import AutoConfig, AutoModel

from producer import side_door
from schemas.errors import ModelError, UsageError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder

CONFIG = """
from transformers import PretrainedConfig


class MillConfig(PretrainedConfig):
    model_type = "own_mill"

    def __init__(self, hidden_size=32, vocab_size=400, **others):
        self.hidden_size, self.vocab_size = hidden_size, vocab_size
        super().__init__(**others)
"""
NETWORK = """
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .config_own import MillConfig


class MillModel(PreTrainedModel):
    config_class = MillConfig

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.kinds = torch.nn.Embedding(2, config.hidden_size)
        self.wheel = torch.nn.GRU(config.hidden_size, config.hidden_size, batch_first=True)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids, attention_mask=None, token_type_ids=None, return_dict=True):
        states = self.table(input_ids)
        if token_type_ids is not None:
            states = states + self.kinds(token_type_ids)
        return BaseModelOutput(last_hidden_state=FACTOR * self.wheel(states)[0])
"""


NAMES = ["input_ids", "token_type_ids", "attention_mask"]


def write_code(folder, *, factor=1.0, network=NETWORK):
    (folder / "config_own.py").write_text(CONFIG)
    (folder / "network_own.py").write_text(network.replace("FACTOR", str(factor)))


def raw(folder, *, width=tiny.WIDTH, **code):
    """A checkpoint whose network is in two files beside it."""
    tokenizer = tiny.wordpiece()
    tokenizer.model_max_length = 100
    tokenizer.save_pretrained(folder)
    write_code(folder, **code)
    classes = {"AutoConfig": "config_own.MillConfig", "AutoModel": "network_own.MillModel"}
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own_mill", "hidden_size": width, "vocab_size": 400, "auto_map": classes})
    )
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    torch.manual_seed(7)
    network = AutoModel.from_config(config, trust_remote_code=True)
    weights = {key: torch.randn_like(value) * 0.5 for key, value in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def saved(folder, place):
    model = SentenceTransformer(str(place), device="cpu", trust_remote_code=True)
    model.append(Normalize())
    model.save(str(folder))
    return folder


def trusted(folder):
    return Embedder.load(folder, dtype="float32", trust_remote_code=True)


def same(folder, record):
    embedder, oracle = trusted(folder), load_oracle(folder, trust_remote_code=True)
    assert type(oracle[0].auto_model).__name__ == type(embedder.parts.network.model).__name__ == "MillModel"
    assert_same_ids(embedder, oracle, tiny.TEXTS)
    ours = embedder.embed(tiny.TEXTS)
    note = f"with --trust-remote-code; {embedder.describe()['forward']} batches"
    record(assert_same_vectors(ours, oracle.encode(tiny.TEXTS)), layout="network of the model's own code", note=note)
    return ours


def test_a_plain_checkpoint_with_its_own_network(record, tmp_path):
    ours = same(raw(tmp_path / "m"), record)
    # Of the same name, with the same weights, but other code: other vectors. The oracle cannot be asked here, since
    # AutoModel gives the first network again in one process.
    write_code(shutil.copytree(tmp_path / "m", tmp_path / "n" / "m"), factor=-2.0)
    other = trusted(tmp_path / "n" / "m").embed(tiny.TEXTS)
    assert np.abs(other + 2 * ours).max() < 1e-5


def test_a_saved_model_with_its_own_network(record, tmp_path):
    folder = saved(tmp_path / "saved", raw(tmp_path / "m"))
    assert (folder / "network_own.py").exists()
    tiny.rewrite(folder / "tokenizer_config.json", {"model_input_names": NAMES})
    ours = same(folder, record)
    assert "token types" in trusted(folder).describe()["reason"]
    # Token types are zeros, not missing: the row of zeros counts.
    weights = load_file(folder / "model.safetensors")
    weights["kinds.weight"][0] += torch.randn(tiny.WIDTH)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert cosines(ours, same(folder, record)).min() < 0.99


def test_a_network_that_takes_no_token_types(record, tmp_path):
    plain = NETWORK.replace("token_type_ids=None, ", "").replace(
        "        if token_type_ids is not None:\n            states = states + self.kinds(token_type_ids)\n", ""
    )
    same(raw(tmp_path / "m", network=plain), record)
    assert "nothing could be tried" in trusted(tmp_path / "m").describe()["reason"]
    findable = plain + "\n    def get_input_embeddings(self):\n        return self.table\n"
    same(raw(tmp_path / "n", network=findable), record)
    described = trusted(tmp_path / "n").describe()
    assert described["forward"] == "padded"
    assert "not usable" in described["reason"]


def test_it_runs_only_where_it_is_trusted(tmp_path):
    marker = tmp_path / "it-ran"
    folder = raw(tmp_path / "m")
    write_code(folder, network=f"open({str(marker)!r}, 'w').close()\n{NETWORK}")
    with pytest.raises(ModelError, match="code of its own"):
        Embedder.load(folder, dtype="float32")
    spec = resolve(folder, ModelOptions(model=str(folder), dtype="float32", trust_remote_code=True))
    assert not marker.exists()
    # A spec that was planned with trust, but came without it.
    with pytest.raises(ModelError, match="--trust-remote-code"):
        Embedder.from_spec(spec.model_copy(update={"trust_remote_code": False}))
    # A table's spec is a stranger's word.
    with pytest.raises(UsageError, match="--trust-remote-code"):
        side_door.encode(spec, ["a"], device="cpu")
    assert not marker.exists()
    assert side_door.encode(spec, ["a"], device="cpu", trust_remote_code=True).shape == (1, tiny.WIDTH)
    assert marker.exists()


def test_the_content_covers_the_code(tmp_path):
    folder = raw(tmp_path / "m")
    spec = resolve(folder, ModelOptions(model=str(folder), trust_remote_code=True))
    write_code(folder, factor=3.0)
    assert resolve(folder, ModelOptions(model=str(folder), trust_remote_code=True)).fingerprint != spec.fingerprint
    with pytest.raises(ModelError, match="the run was planned with"):
        Embedder.from_spec(spec)


def test_code_of_another_repository_is_told_of(tmp_path):
    folder = raw(tmp_path / "m")
    elsewhere = {"AutoConfig": "config_own.MillConfig", "AutoModel": "some/where--network_own.MillModel"}
    tiny.rewrite(folder / "config.json", {"auto_map": elsewhere})
    spec = resolve(folder, ModelOptions(model=str(folder), trust_remote_code=True))
    assert any("some/where" in warning for warning in spec.warnings)
