"""Module classes of a model's own, named in modules.json: run only where trusted, then as the oracle does."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_ids, assert_same_vectors, cosines, load_oracle
from safetensors.torch import save_file

import producer
from producer import side_door
from producer.explain import explain
from producer.model import resolve_model
from schemas.errors import ModelError, UsageError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from tests.unit.parts import a_record
from worker.engine import Embedder
from worker.engine.example import follow, model_facts
from worker.settings import Refused, WorkerSettings

#: A head that works without sentence-transformers: a scale per dimension, loaded in the old way.
OLD_HEAD = """
import pathlib
import torch
from safetensors.torch import load_file


class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(32))

    @staticmethod
    def load(input_path):
        made = Scale()
        made.load_state_dict(load_file(str(pathlib.Path(input_path) / "model.safetensors")))
        return made

    def forward(self, features):
        features["sentence_embedding"] = FACTOR * features["sentence_embedding"] * self.scale
        return features
"""
#: As most are: a subclass of sentence-transformers' own base class; it looks at tokens and sentence.
NEW_HEAD = """
import torch
from sentence_transformers.base.modules import Module


class Gate(Module):
    config_keys = ["strength"]

    def __init__(self, strength):
        super().__init__()
        self.strength = strength
        self.project = torch.nn.Linear(32, 48)

    @classmethod
    def load(cls, model_name_or_path, subfolder="", token=None, cache_folder=None, revision=None,
             local_files_only=False, **kwargs):
        where = dict(subfolder=subfolder, token=token, cache_folder=cache_folder, revision=revision,
                     local_files_only=local_files_only)
        made = cls(**cls.load_config(model_name_or_path, **where))
        return cls.load_torch_weights(model_name_or_path, model=made, **where)

    def forward(self, features):
        mask = features["attention_mask"].unsqueeze(-1)
        most = features["token_embeddings"].masked_fill(mask == 0, -1e9).amax(1)
        features["sentence_embedding"] = self.project(features["sentence_embedding"] + self.strength * most)
        return features

    def save(self, output_path, *args, **kwargs):
        self.save_config(output_path)
"""
POOLING = """
import torch


class Ends(torch.nn.Module):
    @staticmethod
    def load(input_path):
        return Ends()

    def forward(self, features):
        states, mask = features["token_embeddings"], features["attention_mask"]
        places = torch.arange(mask.shape[1]).expand_as(mask)
        last = (mask * places).argmax(1)
        first = mask.argmax(1)
        rows = torch.arange(len(states))
        return {"sentence_embedding": torch.cat([states[rows, first], states[rows, last] + PLUS], 1)}
"""
#: As jina-embeddings-v3's: an old load of one argument, and an __init__ that is told what the files say.
FIRST = """
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer


class Reader(torch.nn.Module):
    def __init__(self, model_name_or_path, max_seq_length=None, model_args=None, tokenizer_args=None,
                 config_args=None, do_lower_case=False, backend="torch"):
        super().__init__()
        config = AutoConfig.from_pretrained(model_name_or_path, **config_args)
        self.auto_model = AutoModel.from_pretrained(model_name_or_path, config=config, **model_args)
        self.tokenizer = AutoTokenizer.from_pretrained(model_name_or_path, **tokenizer_args)
        self.max_seq_length = max_seq_length

    @staticmethod
    def load(input_path):
        raise RuntimeError("the old way, which knows no arguments")

    def tokenize(self, texts, task=None):
        cut = dict(padding=True, truncation="longest_first", max_length=self.max_seq_length, return_tensors="pt")
        return self.tokenizer([("ask: " if task == "query" else "") + text for text in texts], **cut)EXTRA

    def forward(self, features, task=None):
        states = self.auto_model(features["input_ids"], features["attention_mask"], features["token_type_ids"])[0]
        features["token_embeddings"] = states * (2.0 if task == "query" else 1.0) * FACTOR
        return features
"""


def code_in(folder, name, source):
    (folder / f"{name}.py").write_text(source)


def listed(folder, *, drop=(), **entry):
    """modules.json without some entries, and with one more, at its end unless it says `at`."""
    entries = [one for one in json.loads((folder / "modules.json").read_text()) if one["idx"] not in drop]
    entries.insert(
        entry.pop("at", len(entries)), {"idx": 9, "name": entry["type"].replace(".", "-"), "path": "", **entry}
    )
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


def old_head(folder, *, source=OLD_HEAD, factor=1.0):
    code_in(folder, "mine", source.replace("FACTOR", str(factor)))
    (folder / "2_Scale").mkdir(exist_ok=True)
    torch.manual_seed(3)
    save_file({"scale": torch.randn(32)}, folder / "2_Scale" / "model.safetensors")
    return listed(folder, type="mine.Scale", path="2_Scale")


def new_head(folder, *, width=48, **said):
    code_in(folder, "gates", NEW_HEAD)
    (folder / "2_Gate").mkdir()
    (folder / "2_Gate" / "config.json").write_text(json.dumps({"strength": 0.7}))
    torch.manual_seed(4)
    weights = {"project.weight": torch.randn(48, 32), "project.bias": torch.randn(48)}
    save_file(weights, folder / "2_Gate" / "model.safetensors")
    return listed(folder, type="gates.Gate", path="2_Gate", **({"width": width} if width else {}), **said)


def own_pooling(folder, *, plus=0.0):
    code_in(folder, "ends", POOLING.replace("PLUS", str(plus)))
    return listed(folder, drop=(1,), type="ends.Ends", path="1_Ends", width=64)


def own_first(folder, *, extra="", factor=1.0, **said):
    code_in(folder, "reader", FIRST.replace("EXTRA", extra).replace("FACTOR", str(factor)))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 40, "do_lower_case": False}))
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tiny.rewrite(folder / "tokenizer_config.json", {"model_input_names": names})
    return listed(folder, drop=(0,), at=0, type="reader.Reader", **said)


@pytest.fixture
def model(base, tmp_path):
    def make(name="m", kind="bert", style="wordpiece", **options):
        return tiny.saved(tmp_path / name, base(kind, style), **options)

    return make


def trusted(folder, **options):
    return Embedder.load(folder, dtype="float32", trust_remote_code=True, **options)


def same(folder, record, what):
    embedder, oracle = trusted(folder), load_oracle(folder, trust_remote_code=True)
    assert_same_ids(embedder, oracle, tiny.TEXTS)
    ours = embedder.embed(tiny.TEXTS)
    note = f"{what}, with --trust-remote-code"
    record(assert_same_vectors(ours, oracle.encode(tiny.TEXTS)), layout="module of the model's own code", note=note)
    return ours


def test_a_head_with_an_old_load(record, model):
    ours = same(old_head(model("m")), record, "a head")
    plain = Embedder.load(model("plain"), dtype="float32").embed(tiny.TEXTS)
    assert cosines(ours, plain).min() < 0.99


@pytest.mark.parametrize(("kind", "style"), [("bert", "wordpiece"), ("qwen3", "decoder"), ("t5", "wordpiece")])
def test_a_head_with_a_new_load_that_sees_tokens_and_sentence(record, model, kind, style):
    assert same(new_head(model(kind=kind, style=style, max_seq_length=100)), record, "a head").shape[1] == 48


@pytest.mark.parametrize(("kind", "style"), [("bert", "wordpiece"), ("qwen3", "decoder")])
def test_a_pooling_of_its_own(record, model, kind, style):
    ours = same(own_pooling(model(kind=kind, style=style)), record, "a pooling")
    assert ours.shape[1] == 64
    other = trusted(own_pooling(model("other", kind=kind, style=style), plus=3.0)).embed(tiny.TEXTS)
    assert np.abs(other[:, 32:] - ours[:, 32:] - 3.0).max() < 1e-5


def test_a_first_module_with_the_arguments_of_old(record, model):
    folder = own_first(model())
    same(folder, record, "a first module")
    embedder, oracle = trusted(folder), load_oracle(folder, trust_remote_code=True)
    wanted = oracle.encode(tiny.TEXTS, prompt="query: ")
    assert_same_vectors(embedder.embed(tiny.TEXTS, prompt="query: "), wanted)
    assert embedder.spec.max_tokens == 40
    cut = embedder.tokens(tiny.TEXTS).truncated
    assert cut.tolist() == [len(text) > 300 for text in tiny.TEXTS]


def test_a_task_reaches_its_code_and_counts_in_the_fingerprint(model):
    folder = own_first(model(), kwargs=["task"])
    embedder, oracle = trusted(folder), load_oracle(folder, trust_remote_code=True)
    plain = embedder.embed(tiny.TEXTS)
    asked = embedder.embed(tiny.TEXTS, task="query")
    assert_same_vectors(asked, oracle.encode_query(tiny.TEXTS))
    assert cosines(plain, asked).min() < 0.99
    options = ModelOptions(model=str(folder), dtype="float32", trust_remote_code=True, task="query")
    assert resolve(folder, options).fingerprint != embedder.spec.fingerprint


def test_a_task_reaches_a_head_that_asks_for_it_by_itself(model):
    asking = OLD_HEAD.replace("def forward(self, features)", "def forward(self, features, task='none')")
    asking = asking.replace("    def __init__", '    forward_kwargs = {"task"}\n\n    def __init__', 1)
    folder = old_head(model(), source=asking.replace("FACTOR", "len(task)"))
    embedder, oracle = trusted(folder), load_oracle(folder, trust_remote_code=True)
    plain = embedder.embed(tiny.TEXTS)
    assert_same_vectors(plain, oracle.encode(tiny.TEXTS))
    for task, ask in (("query", oracle.encode_query), ("document", oracle.encode_document)):
        found = embedder.embed(tiny.TEXTS, task=task)
        assert_same_vectors(found, ask(tiny.TEXTS))
        assert np.abs(found - plain * len(task) / 4).max() < 1e-5


def test_vectors_do_not_depend_on_their_neighbours(model):
    for make in (own_pooling, new_head, own_first):
        embedder = trusted(make(model(make.__name__)))
        together = embedder.embed(tiny.TEXTS)
        alone = np.concatenate([embedder.embed([text]) for text in tiny.TEXTS])
        assert np.abs(together - alone).max() < 1e-4 * np.abs(together).max()


def test_it_runs_only_where_it_is_trusted(model, tmp_path):
    marker = tmp_path / "it-ran"
    folder = old_head(model(), source=f"open({str(marker)!r}, 'w').close()\n{OLD_HEAD}")
    for refused in (lambda: Embedder.load(folder), lambda: resolve_model(ModelOptions(model=str(folder)))):
        with pytest.raises(ModelError, match=r"mine\.Scale is code of the model's own") as caught:
            refused()
        assert "--trust-remote-code" in caught.value.way_out
    (tmp_path / "rows.jsonl").write_text('{"id": "1", "text": "a"}\n')
    with pytest.raises(ModelError, match="not trusted"):
        producer.embed(str(tmp_path / "rows.jsonl"), model=str(folder), to=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    spec = resolve_model(ModelOptions(model=str(folder), dtype="float32", trust_remote_code=True))
    assert spec.trust_remote_code
    with pytest.raises(ModelError, match="not trusted"):
        Embedder.from_spec(spec.model_copy(update={"trust_remote_code": False}))
    with pytest.raises(UsageError, match="--trust-remote-code"):
        side_door.encode(spec, ["a"], device="cpu")
    settings = WorkerSettings(broker_url="redis://x", allow_roots=(str(tmp_path),))
    record = a_record(tmp_path / "t", spec=spec)
    with pytest.raises(Refused, match="code of its own"):
        settings.check(record)
    assert not marker.exists()
    settings.model_copy(update={"trust_remote_code": True}).check(record)
    assert Embedder.from_spec(spec).embed(["a"]).shape == (1, 32)
    assert marker.exists()


def test_the_content_covers_the_code_and_all_that_it_may_read(model):
    folder = old_head(model())
    options = ModelOptions(model=str(folder), dtype="float32", trust_remote_code=True)
    spec = resolve(folder, options)
    before = Embedder.from_spec(spec).embed(["a"])
    (folder / "README.md").write_text("of no weight")
    (folder / ".hidden").write_text("of no weight")
    assert resolve(folder, options).fingerprint == spec.fingerprint
    old_code = (folder / "mine.py").read_text()
    code_in(folder, "mine", old_code.replace("1.0 *", "3.0 *"))
    changed = resolve(folder, options)
    assert changed.fingerprint != spec.fingerprint
    with pytest.raises(ModelError, match="the run was planned with"):
        Embedder.from_spec(spec)
    assert np.abs(Embedder.from_spec(changed).embed(["a"]) - 3 * before).max() < 1e-4
    (folder / "2_Scale" / "table.npy").write_bytes(b"read by nobody knows what")
    assert resolve(folder, options).fingerprint != changed.fingerprint


def test_without_sentence_transformers_only_code_that_imports_it_fails(model, monkeypatch):
    plain, written_against = old_head(model("a")), new_head(model("b"))
    for name in [name for name in sys.modules if name.partition(".")[0] == "sentence_transformers"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    assert trusted(plain).embed(["a"]).shape == (1, 32)
    with pytest.raises(ModelError, match="written against sentence-transformers") as caught:
        trusted(written_against)
    assert "pip install sentence-transformers" in caught.value.way_out


@pytest.mark.parametrize(("width", "says"), [(None, 32), (40, 40)])
def test_a_width_that_the_files_do_not_tell_is_found_out_before_any_job(model, width, says):
    with pytest.raises(ModelError, match=f"have 48 dimensions, where its files say {says}") as caught:
        trusted(new_head(model(), width=width))
    assert '"width": 48' in caught.value.way_out


@pytest.mark.parametrize("kind", ["elsewhere.Head", "a.package.Head"])
def test_a_class_in_no_file_of_the_folder_is_refused(model, kind):
    with pytest.raises(ModelError, match="but no class in a file of"):
        trusted(listed(model(), type=kind))


def test_code_of_another_repository_is_told_of(model):
    folder = listed(model(), type="some/where--mine.Head")
    spec = resolve(folder, ModelOptions(model=str(folder), trust_remote_code=True))
    assert any("some/where" in warning for warning in spec.warnings)


def test_a_length_of_ones_own_is_refused(model):
    options = ModelOptions(model=str(own_first(model())), max_tokens=8, trust_remote_code=True)
    with pytest.raises(ModelError, match="cuts texts by its own code"):
        resolve(Path(options.model), options)


def test_tensors_that_cannot_be_carried_are_refused(model):
    extra = ".data | {'pixel_values': torch.ones(len(texts), 2)}"
    with pytest.raises(ModelError, match="makes pixel_values of a text"):
        trusted(own_first(model(), extra=extra))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("features['attention_mask'][:, :1] = 0", "masks tokens out"),
        ("features['input_ids'] = features['input_ids'] + 1", "changes input_ids"),
        ("features['sentence_embedding'] = features['of_another']", "KeyError: 'of_another'"),
        ("features = 3", "gives a int"),
    ],
)
def test_what_a_head_changes_and_cannot_be_carried_is_an_error(model, line, says):
    source = OLD_HEAD.replace("        return features", f"        {line}\n        return features")
    with pytest.raises(ModelError, match=says):
        trusted(old_head(model(), source=source))


def test_inspect_shows_the_class_and_its_file(model):
    embedder = trusted(own_first(old_head(model())))
    facts = embedder.describe() | model_facts(embedder, asked_device="cpu") | {"example": follow(embedder, "Two words")}
    said = " ".join("\n".join(explain(embedder.spec, facts)).split())
    assert "mine.Scale: the class Scale in the file mine.py, code of the model's own" in said
    assert "reader.Reader: the class Reader in the file reader.py" in said
    assert "it is cut as the model's own code does" in said
    assert "[CLS]" in said
