"""Modules between a network and its vector, routes, chat messages and encoders: as the oracle, and no other variant."""

import json
import shutil

import numpy as np
import pytest
import tiny_models as tiny
import torch
from parity_checks import assert_same_vectors, cosines, load_oracle
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Dense,
    LayerNorm,
    Normalize,
    Pooling,
    Router,
    StaticEmbedding,
    Transformer,
    WeightedLayerPooling,
)

from schemas.errors import ModelError
from schemas.model_folder import resolve
from schemas.spec import ModelOptions
from worker.engine import Embedder

IDENTITY = torch.nn.Identity()


def static(width=tiny.WIDTH):
    torch.manual_seed(3)
    tokenizer = tiny.wordpiece()
    return StaticEmbedding(tokenizer, embedding_weights=torch.randn(len(tokenizer), width))


def saved(folder, *modules, **options):
    SentenceTransformer(modules=list(modules), device="cpu", **options).save(str(folder))
    return folder


def same(folder, record, layout, *, task=None, **options):
    """Our vectors of a task are the oracle's; gives ours."""
    chosen = ModelOptions(model=str(folder), dtype="float32", task=task, **options)
    oracle = load_oracle(folder)
    encode = {None: oracle.encode, "query": oracle.encode_query, "document": oracle.encode_document}[task]
    ours = Embedder.from_options(chosen).embed(tiny.TEXTS)
    record(assert_same_vectors(ours, encode(tiny.TEXTS, **options)), layout=layout)
    return ours


def test_dense_before_pooling(base, agree, tmp_path):
    torch.manual_seed(1)
    dense = Dense(tiny.WIDTH, 12, module_input_name="token_embeddings", init_weight=torch.randn(12, tiny.WIDTH) * 0.3)
    pooling = Pooling(12, pooling_mode=["mean", "max"])
    folder = saved(tmp_path, Transformer(str(base("bert"))), dense, pooling, Dense(24, 8), Normalize())
    embedder, _ = agree(folder, layout="Transformer + Dense on tokens + Pooling")
    assert embedder.spec.dims == 8
    # Behind pooling the same Dense is another function, since tanh is not linear.
    dense.module_input_name = dense.module_output_name = "sentence_embedding"
    later = saved(tmp_path / "later", Transformer(str(base("bert"))), Pooling(tiny.WIDTH), dense)
    early = saved(tmp_path / "early", Transformer(str(base("bert"))), *_token_level(dense), Pooling(12))
    vectors = [Embedder.load(place, dtype="float32").embed(tiny.TEXTS) for place in (later, early)]
    assert cosines(*vectors).min() < 0.99


def _token_level(dense):
    dense.module_input_name = dense.module_output_name = "token_embeddings"
    return [dense]


@pytest.mark.parametrize("width", [tiny.WIDTH, 16])
def test_a_residual_dense_is_not_a_plain_one(base, agree, tmp_path, width):
    torch.manual_seed(1)
    folder = tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, width, use_residual=True))
    embedder, _ = agree(folder, layout="Dense with a residual")
    ours = embedder.embed(tiny.TEXTS)
    tiny.rewrite(folder / "2_Dense" / "config.json", {"use_residual": False})
    if width != tiny.WIDTH:
        weights = load_file(folder / "2_Dense" / "model.safetensors")
        # One that is there, but not asked for, is an error in both.
        with pytest.raises(ModelError, match="residual"):
            Embedder.load(folder, dtype="float32")
        assert weights.pop("residual.weight").shape == (width, tiny.WIDTH)
        save_file(weights, folder / "2_Dense" / "model.safetensors")
    assert cosines(ours, Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("activation", ["mine.Act", None])
def test_an_activation_that_is_not_torchs_is_tanh(base, agree, tmp_path, activation):
    folder = tiny.saved(tmp_path / "m", base("bert"), Dense(tiny.WIDTH, 16, activation_function=torch.nn.ReLU()))
    relu = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)
    place = folder / "2_Dense" / "config.json"
    tiny.rewrite(place, {"activation_function": activation, "extra": 1} if activation else {}, drop=("extra",))
    if activation is None:
        tiny.rewrite(place, drop=("activation_function",))
    embedder, _ = agree(folder, layout="Dense, activation missing or unknown: Tanh")
    assert cosines(relu, embedder.embed(tiny.TEXTS)).min() < 0.99
    assert any("mine.Act" in warning for warning in embedder.spec.warnings) is (activation is not None)


def test_many_dense_in_a_row(base, agree, tmp_path):
    torch.manual_seed(1)
    heads = [Dense(tiny.WIDTH, 48, bias=False, activation_function=IDENTITY), Dense(48, 24), Dense(24, 24)]
    norm = LayerNorm(24)
    torch.nn.init.normal_(norm.norm.weight)
    folder = tiny.saved(tmp_path / "m", base("bert"), *heads, norm, Normalize())
    embedder, _ = agree(folder, layout="several Dense and LayerNorm")
    ours, whole = embedder.embed(tiny.TEXTS), json.loads((folder / "modules.json").read_text())
    for left_out in ("4_Dense", "5_LayerNorm", "6_Normalize"):
        rest = [module for module in whole if module["path"] != left_out]
        assert len(rest) == len(whole) - 1
        (folder / "modules.json").write_text(json.dumps(rest))
        others = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)
        if left_out == "6_Normalize":
            assert np.abs(np.linalg.norm(others, axis=1) - 1).min() > 0.1
        else:
            assert cosines(ours, others).min() < 0.99
    # The second cannot be left out without anyone noticing, nor can two change places.
    for order in ([0, 1, 2, 4, 5, 6], [0, 1, 3, 2, 4, 5, 6]):
        (folder / "modules.json").write_text(json.dumps([whole[place] for place in order]))
        with pytest.raises(ModelError):
            resolve(folder, ModelOptions(model=str(folder)))


@pytest.mark.parametrize("shows", [True, False])
def test_weighted_layer_pooling(base, agree, tmp_path, shows):
    weights = torch.nn.Parameter(torch.tensor([6.0, 3.0, 1.0]))
    layers = WeightedLayerPooling(tiny.WIDTH, num_hidden_layers=2, layer_start=0, layer_weights=weights)
    transformer = Transformer(str(base("bert")), config_kwargs={"output_hidden_states": shows})
    folder = saved(tmp_path, transformer, layers, Pooling(tiny.WIDTH))
    tiny.rewrite(folder / "config.json", {"output_hidden_states": shows})
    embedder, _ = agree(folder, layout="WeightedLayerPooling" + ("" if shows else ", no layers shown: idle"))
    assert any("does nothing" in warning for warning in embedder.spec.warnings) is not shows
    plain = Embedder.load(tiny.saved(tmp_path / "plain", base("bert")), dtype="float32").embed(tiny.TEXTS)
    assert bool(cosines(plain, embedder.embed(tiny.TEXTS)).min() < 0.99) is shows


ENCODERS = ["mt5", "umt5", "m2m_100", "bart", "longt5", "switch_transformers", "pegasus", "marian", "blenderbot"]
ENCODERS += ["blenderbot-small", "pegasus_x", "prophetnet", "t5gemma"]


@pytest.mark.parametrize("kind", ENCODERS)
def test_encoders_of_encoder_decoder_models(base, agree, tmp_path, kind):
    folder = tiny.saved(tmp_path / "m", base(kind), Normalize(), max_seq_length=100)
    # Many of these load at random from a whole checkpoint, and narrow: see below.
    weights = load_file(folder / "model.safetensors")
    torch.manual_seed(0)
    wide = {key: torch.randn_like(value) * 0.3 if value.ndim == 2 else value for key, value in weights.items()}
    save_file(wide, folder / "model.safetensors", metadata={"format": "pt"})
    # Weights so wide make much of rounding: each side is up to 9e-7 from double precision.
    layout = f"encoder of {kind}" if kind != "bart" else "bart, whole"
    embedder, oracle = agree(folder, layout=layout, tolerance=2e-6)
    assert type(embedder.parts.network.model).__name__ == type(oracle[0].auto_model).__name__
    wrong = Embedder.from_options(ModelOptions(model=str(folder), pooling="cls", dtype="float32"))
    assert cosines(embedder.embed(tiny.TEXTS), wrong.embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.parametrize("kind", ["t5", "mt5", "umt5", "longt5", "switch_transformers"])
def test_encoders_out_of_a_whole_checkpoint(base, agree, tmp_path, kind):
    folder = tiny.saved(tmp_path / "m", base(kind), Normalize(), max_seq_length=100)
    whole = load_file(base(kind) / "model.safetensors")
    assert any(key.startswith("decoder.") for key in whole)
    shutil.copy(base(kind) / "model.safetensors", folder / "model.safetensors")
    agree(folder, layout=f"encoder of {kind}, whole checkpoint")


@pytest.mark.parametrize("kind", ["m2m_100", "pegasus", "marian", "blenderbot"])
def test_encoders_that_would_load_at_random_are_refused(base, record, tmp_path, kind):
    folder = tiny.saved(tmp_path / "m", base(kind), Normalize(), max_seq_length=100)
    shutil.copy(base(kind) / "model.safetensors", folder / "model.safetensors")
    # The oracle draws the weights it does not find: twice loaded, it is two models.
    first, second = (load_oracle(folder).encode(tiny.TEXTS) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    with pytest.raises(ModelError, match="they would be random"):
        Embedder.load(folder, dtype="float32")
    note = "sentence-transformers loads random weights here"
    record(None, layout=f"encoder of {kind}, whole checkpoint", status="refused", note=note)


@pytest.fixture
def no_images(monkeypatch):
    """The oracle asks for what reads images, which needs a package of its own; no text goes through it."""
    from sentence_transformers.base.modules import transformer
    from transformers import AutoTokenizer

    monkeypatch.setattr(transformer.AutoProcessor, "from_pretrained", AutoTokenizer.from_pretrained)


@pytest.mark.usefixtures("no_images")
def test_the_encoder_of_t5gemma2(agree, record, tmp_path):
    raw = tiny.t5gemma2(tmp_path / "raw")
    folder = saved(tmp_path / "m", Transformer(str(raw)), Pooling(tiny.WIDTH))
    weights, whole = load_file(folder / "model.safetensors"), load_file(raw / "model.safetensors")
    assert torch.equal(weights["layers.0.mlp.up_proj.weight"], whole["model.encoder.layers.0.mlp.up_proj.weight"])
    embedder, oracle = agree(folder, layout="encoder of t5gemma2, saved alone")
    assert type(embedder.parts.network.model).__name__ == type(oracle[0].auto_model).__name__ == "T5Gemma2Encoder"
    wrong = Embedder.from_options(ModelOptions(model=str(folder), pooling="cls", dtype="float32"))
    assert cosines(embedder.embed(tiny.TEXTS), wrong.embed(tiny.TEXTS)).min() < 0.99
    with pytest.raises(ModelError, match="save its encoder alone"):
        resolve(raw, ModelOptions(model=str(raw)))
    record(None, layout="encoder of t5gemma2, whole checkpoint", status="refused", note="save its encoder alone")


@pytest.mark.usefixtures("no_images")
def test_a_model_of_pages_is_refused(base, record, tmp_path):
    folder = saved(tmp_path, Transformer(str(base("udop"))), Pooling(tiny.WIDTH))
    with pytest.raises(ValueError, match="Bbox is required"):
        load_oracle(folder).encode(tiny.TEXTS)
    with pytest.raises(ModelError, match="the place of every word on its page"):
        resolve(folder, ModelOptions(model=str(folder)))
    record(None, layout="encoder of udop", status="refused", note="sentence-transformers embeds no text with it either")


@pytest.mark.parametrize("task", [None, "query", "document"])
def test_a_router_that_reads_texts(base, record, tmp_path, task):
    document = [Transformer(str(base("bert"))), Pooling(tiny.WIDTH), Dense(tiny.WIDTH, 16)]
    router = Router.for_query_document([static(16)], document)
    ours = same(saved(tmp_path, router, Normalize()), record, "Router: query static, document Transformer", task=task)
    other = Embedder.from_options(
        ModelOptions(model=str(tmp_path), dtype="float32", task="document" if task == "query" else "query")
    )
    assert cosines(ours, other.embed(tiny.TEXTS)).min() < 0.99
    # A loaded model takes the other route when a call names the other task.
    assert_same_vectors(other.embed(tiny.TEXTS, task=task or "document"), ours)


@pytest.mark.parametrize("task", [None, "query", "document"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_router_behind_pooling(base, record, tmp_path, task, legacy):
    torch.manual_seed(1)
    router = Router({name: [Dense(tiny.WIDTH, tiny.WIDTH)] for name in ("query", "document")})
    folder = saved(tmp_path, Transformer(str(base("bert"))), Pooling(tiny.WIDTH), router)
    if legacy:
        place = folder / "2_Router"
        old = json.loads((place / "router_config.json").read_text())
        old["parameters"] = {"allow_empty_key": True}
        (place / "config.json").write_text(json.dumps(old))
        (place / "router_config.json").unlink()
        text = (folder / "modules.json").read_text()
        listed = json.loads(text)
        listed[2]["type"] = "sentence_transformers.models.Asym"
        (folder / "modules.json").write_text(json.dumps(listed))
    ours = same(folder, record, "Asym, legacy" if legacy else "Router behind Pooling", task=task)
    other = ModelOptions(model=str(folder), dtype="float32", task="document" if task != "document" else "query")
    assert cosines(ours, Embedder.from_options(other).embed(tiny.TEXTS)).min() < 0.99
    # And its Dense does something.
    listed = json.loads((folder / "modules.json").read_text())[:2]
    (folder / "modules.json").write_text(json.dumps(listed))
    pooled = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS)
    assert cosines(ours, pooled).min() < 0.99


def test_route_mappings_and_a_router_without_a_default(base, record, tmp_path):
    torch.manual_seed(1)
    routes = {"a": [static(16)], "b": [static(16), Dense(16, 16)]}
    mappings = {("query", None): "b", ("document", "text"): "a"}
    router = Router(routes, default_route=None, allow_empty_key=False, route_mappings=mappings)
    folder = saved(tmp_path, router)
    query = same(folder, record, "Router with route_mappings", task="query")
    assert cosines(query, same(folder, record, "Router with route_mappings", task="document")).min() < 0.99
    with pytest.raises(ModelError, match="--task document"):
        resolve(folder, ModelOptions(model=str(folder)))
    record(None, layout="Router without a default, no --task", status="refused")


CHOICES = [{"max_tokens": 8}, {"pooling": "cls"}, {"normalize": False, "dims": 8}, {"max_tokens": 8, "pooling": "max"}]


@pytest.mark.parametrize("chosen", CHOICES)
def test_another_route_keeps_what_was_chosen(base, tmp_path, chosen):
    routes = ([Transformer(str(base(kind))), Pooling(tiny.WIDTH)] for kind in ("bert", "distilbert"))
    folder = saved(tmp_path, Router.for_query_document(*routes), Normalize())
    options = {"model": str(folder), "dtype": "float32", **chosen}
    document = Embedder.from_options(ModelOptions(task="document", **options))
    wanted = Embedder.from_options(ModelOptions(task="query", **options))
    assert document.variant(ModelOptions(model="", task="query")).spec == wanted.spec
    ours = document.embed(tiny.TEXTS, task="query")
    assert np.abs(ours - wanted.embed(tiny.TEXTS)).max() == 0
    own = Embedder.from_options(ModelOptions(task="query", model=str(folder), dtype="float32")).embed(tiny.TEXTS)
    assert ours.shape != own.shape or cosines(ours, own).min() < 0.99


def test_a_chosen_pooling_is_none_of_a_route_that_pools_nothing(base, tmp_path):
    folder = saved(
        tmp_path, Router.for_query_document([static()], [Transformer(str(base("bert"))), Pooling(tiny.WIDTH)])
    )
    options = ModelOptions(model=str(folder), dtype="float32", task="document", pooling="cls")
    document = Embedder.from_options(options)
    query = Embedder.from_options(ModelOptions(model=str(folder), dtype="float32", task="query"))
    assert np.abs(document.embed(tiny.TEXTS, task="query") - query.embed(tiny.TEXTS)).max() == 0
    # And on the way back it is there again.
    back = document.variant(ModelOptions(model="", task="query")).variant(ModelOptions(model="", task="document"))
    assert back.spec == document.spec


FLAT = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}{{ '<|assistant|>' }}<|endoftext|>"
STRUCTURED = FLAT.replace("m['content']", "m['content'][0]['text'] if m['content'][0]['type'] else ''")


@pytest.mark.parametrize("template", [FLAT, STRUCTURED])
@pytest.mark.parametrize("prompt", [None, "find it"])
@pytest.mark.parametrize("mode", ["lasttoken", "mean"])
def test_texts_as_chat_messages(base, record, tmp_path, template, prompt, mode):
    from transformers import AutoTokenizer

    raw = shutil.copytree(base("qwen3", "decoder"), tmp_path / "raw")
    tokenizer = AutoTokenizer.from_pretrained(raw)
    tokenizer.chat_template, tokenizer.model_max_length = template, 60
    tokenizer.save_pretrained(raw)
    form = "structured" if template is STRUCTURED else "flat"
    folder = saved(tmp_path / "m", Transformer(str(raw)), Pooling(tiny.WIDTH, mode))
    said = json.loads((folder / "sentence_bert_config.json").read_text())["modality_config"]["message"]
    assert said["format"] == form
    embedder, oracle = Embedder.load(folder, dtype="float32"), load_oracle(folder)
    wanted = oracle.encode(tiny.TEXTS, prompt=prompt)
    ours = embedder.embed(tiny.TEXTS, prompt=prompt)
    record(assert_same_vectors(ours, wanted), layout=f"chat messages, {form}")
    # Saved by an older version, the same folder is not put into the template.
    tiny.rewrite(
        folder / "sentence_bert_config.json", drop=("modality_config", "module_output_name", "processing_kwargs")
    )
    plain = Embedder.load(folder, dtype="float32").embed(tiny.TEXTS, prompt=prompt)
    record(
        assert_same_vectors(plain, load_oracle(folder).encode(tiny.TEXTS, prompt=prompt)),
        layout="chat template, but no modality_config: plain texts",
    )
    assert cosines(ours, plain).min() < 0.99


FOR_TASK = "{%- if task is defined and task == 'query' %}{{ 'find ' }}{% endif %}" + FLAT.replace(
    "{{ '<|assistant|>' }}", "{{ '<|' ~ (task|upper if task is defined else 'none') ~ '|>' }}"
)


def with_template(folder, base, template, **options):
    from transformers import AutoTokenizer

    raw = shutil.copytree(base("qwen3", "decoder"), folder / "raw")
    tokenizer = AutoTokenizer.from_pretrained(raw)
    tokenizer.chat_template, tokenizer.model_max_length = template, 60
    tokenizer.save_pretrained(raw)
    return saved(folder / "m", Transformer(str(raw), **options), Pooling(tiny.WIDTH, "mean"))


@pytest.mark.parametrize("task", [None, "query", "document"])
def test_a_template_that_asks_for_the_task(base, record, tmp_path, task):
    folder = with_template(tmp_path, base, FOR_TASK)
    ours = same(folder, record, "chat template that asks for the task", task=task)
    other = Embedder.from_options(
        ModelOptions(model=str(folder), dtype="float32", task="document" if task == "query" else "query")
    )
    assert cosines(ours, other.embed(tiny.TEXTS)).min() < 0.99
    # A loaded model takes another task when a call names it, and keeps its network.
    if task is not None:
        assert_same_vectors(other.embed(tiny.TEXTS, task=task), ours)
        again = other.variant(ModelOptions(model=str(folder), task=task))
        assert again.parts.network is other.parts.network
        assert again.spec.fingerprint != other.spec.fingerprint


def test_a_task_in_the_files_comes_first(base, record, tmp_path):
    folder = with_template(tmp_path, base, FOR_TASK, processing_kwargs={"chat_template": {"task": "document"}})
    first = same(folder, record, "chat template that asks for the task", task="query")
    assert_same_vectors(first, same(folder, record, "chat template that asks for the task"))


def test_a_template_without_a_task_makes_no_difference_of_it(base, tmp_path):
    folder = with_template(tmp_path, base, FLAT)
    prints = {
        resolve(folder, ModelOptions(model=str(folder), task=task)).fingerprint for task in (None, "query", "document")
    }
    assert len(prints) == 1


def test_the_end_of_a_template_is_put_back(base, record, tmp_path):
    from transformers import AutoTokenizer

    raw = shutil.copytree(base("qwen3", "decoder"), tmp_path / "raw")
    tokenizer = AutoTokenizer.from_pretrained(raw)
    tokenizer.chat_template, tokenizer.model_max_length = FLAT, 40
    tokenizer.save_pretrained(raw)
    folder = saved(tmp_path / "m", Transformer(str(raw)), Pooling(tiny.WIDTH, "lasttoken"))
    ours = same(folder, record, "chat messages, flat")
    tiny.rewrite(
        folder / "sentence_bert_config.json", {"processing_kwargs": {"chat_template": {"restore_suffix": False}}}
    )
    cut = same(folder, record, "chat messages, flat")
    assert cosines(ours, cut).min() < 0.99
    assert np.abs(ours[0] - cut[0]).max() == 0


def test_a_plain_decoder_with_a_chat_template(base, record, tmp_path):
    raw = shutil.copytree(base("qwen3", "decoder"), tmp_path / "raw")
    (raw / "chat_template.jinja").write_text(FLAT)
    tiny.rewrite(raw / "config.json", {"architectures": ["Qwen3ForCausalLM"]})
    spec = resolve(raw, ModelOptions(model=str(raw)))
    assert any("chat template" in warning for warning in spec.warnings)
    ours, wanted = Embedder.load(raw, dtype="float32").embed(tiny.TEXTS), load_oracle(raw).encode(tiny.TEXTS)
    record(assert_same_vectors(ours, wanted), layout="chat template, no modules.json: chat messages")
    (raw / "chat_template.jinja").unlink()
    assert cosines(ours, Embedder.load(raw, dtype="float32").embed(tiny.TEXTS)).min() < 0.99


@pytest.mark.usefixtures("no_images")
@pytest.mark.parametrize("legacy", [False, True])
def test_the_text_tower_of_clip(record, tmp_path, legacy):
    folder = tiny.clip(tmp_path / "m")
    if not legacy:
        features = {"method": "get_text_features", "method_output_name": "pooler_output"}
        images = {"method": "get_image_features", "method_output_name": "pooler_output"}
        said = {"modality_config": {"text": features, "image": images}, "module_output_name": "sentence_embedding"}
        tiny.rewrite(folder / "sentence_bert_config.json", {"transformer_task": "feature-extraction", **said})
    dotted = "models.CLIPModel" if legacy else "base.modules.transformer.Transformer"
    entry = {"idx": 0, "name": "0", "path": "", "type": f"sentence_transformers.{dotted}"}
    (folder / "modules.json").write_text(json.dumps([entry]))
    ours = same(folder, record, "CLIP text tower, legacy" if legacy else "CLIP text tower")
    assert ours.shape[1] == 24
    assert cosines(ours[:1], ours[6:7]).max() < 0.99
