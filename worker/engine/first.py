"""The module that reads texts, as a pair: its tokenizer, and what makes features of token ids.

A registry by kind; a kind that is not in it is an error.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch

from schemas.errors import ModelError
from schemas.model_own import is_own
from schemas.spec import Module, Spec
from worker.engine.chat import ChatTokenizer
from worker.engine.checkpoint import load_network
from worker.engine.device import pick_dtype
from worker.engine.encoder_layers import whole_layers
from worker.engine.entry import entering
from worker.engine.features import Reader
from worker.engine.feed_forward import joined
from worker.engine.kernel_layers import with_kernels
from worker.engine.last_layer import with_first_tokens
from worker.engine.looked_up import looked_up
from worker.engine.normed_sum import with_normed_sums
from worker.engine.own_class import load_own, task_of
from worker.engine.own_first import OwnReader, OwnTokenizer
from worker.engine.own_step import OwnStep
from worker.engine.phrase_tokenizer import PhraseTokenizer
from worker.engine.prepack import prepacked
from worker.engine.quantize import in_int8
from worker.engine.tables import load_table
from worker.engine.tokenizer import Tokenizer
from worker.engine.tokens import Tokens
from worker.engine.trial import decide
from worker.engine.word_tokenizer import StaticTokenizer, WordTokenizer
from worker.engine.wrapped_tokenizer import WrappedTokenizer


class Tokenizes(Protocol):
    """From texts to token ids."""

    def __call__(self, texts: Sequence[str], *, prompt: str = "") -> Tokens:
        """The ids of every text behind a prompt."""

    def prompt_length(self, prompt: str) -> int:
        """How many of the first tokens count as the prompt."""


First = tuple[Tokenizes, Reader]


def load_first(folder: Path, spec: Spec, *, device: torch.device) -> First:
    """The first module of a spec, ready to run."""
    kind = spec.modules[0].kind
    if is_own(kind):
        return _own(folder, spec, device)
    if kind not in _LOADERS:
        raise ModelError(f"module {kind} reads no texts", way_out=f"first may come {', '.join(_LOADERS)}")
    return _LOADERS[kind](folder, spec, device)


def network_tokenizer(folder: Path, spec: Spec) -> Tokenizer:
    """The tokenizer of a network, with or without a chat template."""
    return (ChatTokenizer if "message" in spec.modules[0].config else Tokenizer).load(folder, spec)


def _transformer(folder: Path, spec: Spec, device: torch.device) -> First:
    tokenizer = network_tokenizer(folder, spec)
    model = load_network(folder, spec, device=device, dtype=pick_dtype(spec.dtype, device))
    network = decide(model, spec, device=device, types=tokenizer.types_for(model))
    found = entering(network, spec)
    network = (in_int8 if spec.dtype == "int8" else prepacked)(network, spec)
    network = whole_layers(with_kernels(with_normed_sums(joined(network, spec))), spec)
    return tokenizer, with_first_tokens(looked_up(network, spec, found), spec)


def _own(folder: Path, spec: Spec, device: torch.device) -> First:
    module = spec.modules[0]
    # As sentence-transformers: it comes as its files are, unless another format is asked for.
    dtype = None if spec.dtype == "auto" else pick_dtype(spec.dtype, device)
    made = load_own(folder, spec, module, device=device, dtype=dtype)
    step = OwnStep(made, module.kind, device, task_of(made, module))
    tokenizer = OwnTokenizer(step, {"task": module.config["task"]} if "task" in module.config else {})
    return tokenizer, OwnReader(step, typed=tokenizer.typed, constants=tokenizer.constants)


def _static(folder: Path, spec: Spec, device: torch.device) -> First:
    module = spec.modules[0]
    return StaticTokenizer.load(folder / module.path, spec.max_tokens), load_table(folder, module, device)


def _words(folder: Path, spec: Spec, device: torch.device) -> First:
    module = spec.modules[0]
    return _word_tokenizer(folder / module.path, module, spec.max_tokens), load_table(folder, module, device)


def _word_tokenizer(place: Path, module: Module, max_tokens: int | None) -> Tokenizes:
    name = module.config.get("tokenizer")
    if name == "PhraseTokenizer":
        return PhraseTokenizer.load(place, max_tokens)
    if name == "TransformersTokenizerWrapper":
        return WrappedTokenizer.load(place, max_tokens)
    return WordTokenizer.load(place, module, max_tokens)


_LOADERS: dict[str, Callable[[Path, Spec, torch.device], First]] = {
    "Transformer": _transformer,
    "StaticEmbedding": _static,
    "WordEmbeddings": _words,
    "BoW": _words,
}
