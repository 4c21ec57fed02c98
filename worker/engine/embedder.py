"""One model on one device: texts to token ids, token ids to vectors. Knows no job and no thread.

An embedder is its loaded parts and a spec; another prompt or width makes another embedder over the same parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from schemas.errors import UsageError
from schemas.model_adapter import Base
from schemas.model_agree import check_agrees
from schemas.model_folder import resolve
from schemas.model_own import has_own
from schemas.model_variant import vary
from schemas.spec import Dtype, ModelOptions, Module, Spec, Task
from schemas.store import CALIBRATED, Codes, Ranges, Store, stored
from schemas.text import EXAMPLE, check_texts
from worker.engine.alone import encode_alone
from worker.engine.device import pick_device
from worker.engine.features import Features
from worker.engine.first import network_tokenizer
from worker.engine.forward import Network
from worker.engine.heads import asks_first_only, finish, key_of
from worker.engine.launch import Done, Lane, Launched, decide_lane
from worker.engine.loading import loading
from worker.engine.locate import locate
from worker.engine.own_trial import check_vectors
from worker.engine.parts import Parts, load_parts
from worker.engine.probe import decide_budget
from worker.engine.tokens import Ids, Offsets, Tokens, Vectors

#: Batches that a lane is tried with: texts of some lengths, a few to a batch.
_TRIAL_TIMES, _TRIAL_BUDGET = (5, 5, 4, 3, 3, 2, 1, 1), 128


class Embedder:
    """Texts to vectors, as the spec says."""

    def __init__(self, parts: Parts, spec: Spec) -> None:
        self.parts = parts
        self.spec = spec
        self.tokenizer = parts.tokenizer
        self.padded = parts.network.padded
        self.device = parts.network.device
        self.ahead = parts.lane.ahead
        self._heads = [parts.heads[key_of(module)] for module in spec.modules[1:]]
        self._prompt_length = parts.tokenizer.prompt_length(spec.prompt)
        self._reads = self._reader()

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        device: str = "cpu",
        dtype: Dtype = "auto",
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> Self:
        """A model by its folder or hub id, embedding as its own files say."""
        options = ModelOptions(model=str(model), revision=revision, dtype=dtype, trust_remote_code=trust_remote_code)
        return cls.from_options(options, device=device)

    @classmethod
    def from_options(cls, options: ModelOptions, *, device: str = "cpu") -> Self:
        """A model with all that can be asked of one."""
        folder, commit = locate(options.model, options.revision)
        named = options if commit else options.model_copy(update={"model": str(folder)})
        return cls._assemble(folder, resolve(folder, named, revision=commit, find=locate), device)

    @classmethod
    def from_spec(cls, spec: Spec, *, device: str = "cpu") -> Self:
        """The embedder of a resolved spec; an error where the files are not the ones it was resolved from."""
        folder, commit = locate(spec.model, spec.revision)
        base = Base(spec.base, *locate(spec.base, spec.base_revision)) if spec.base is not None else None
        check_agrees(spec, folder, commit=commit, base=base)
        return cls._assemble(folder, spec, device)

    @classmethod
    def _assemble(cls, folder: Path, spec: Spec, device: str) -> Self:
        place = pick_device(device)
        with loading(folder):
            made = cls(load_parts(folder, spec, place), spec)
            if has_own(spec.modules):
                check_vectors(made.forward_batch, made.tokens([EXAMPLE]), spec)
            made = made._over(decide_lane(place, made._tried))
            return cls(replace(made.parts, budget=decide_budget(made, place)), spec)

    def embed(  # noqa: PLR0913 - what a user can ask for, by name
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        prompt_name: str | None = None,
        task: Task | None = None,
        dims: int | None = None,
        normalize: bool | None = None,
        store: Store = "float32",
        ranges: Ranges | None = None,
    ) -> Vectors | Codes:
        """float32 [texts, dims], in order; None means: as the spec says. A quantized `store` gives its codes."""
        check_texts(texts)
        if store in CALIBRATED and ranges is None:
            raise UsageError(f"store {store} needs ranges=, so that a vector does not depend on its neighbours")
        options = ModelOptions(
            model=self.spec.model, prompt=prompt, prompt_name=prompt_name, task=task, dims=dims, normalize=normalize
        )
        embedder = self.variant(options)
        return stored(embedder.encode(embedder.tokens(texts)), store, ranges)

    def tokenize(self, texts: Sequence[str], prompt: str | None = None) -> list[list[int]]:
        """The token ids of each text behind `prompt`, if any; special tokens included, cut at the spec's length."""
        check_texts(texts)
        return self.tokenizer(texts, prompt=prompt or "").lists()

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """The texts as the engine takes them, behind the spec's prompt."""
        return self.tokenizer(texts, prompt=self.spec.prompt)

    def encode(self, tokens: Tokens) -> Vectors:
        """float32 [texts, dims] of texts already tokenized, on the calling thread."""
        return encode_alone(self, tokens)

    def _over(self, lane: Lane) -> Self:
        return type(self)(replace(self.parts, lane=lane), self.spec)

    def _tried(self, lane: Lane) -> Vectors:
        """A few short batches over another lane, always the same."""
        tokens = self.tokens([EXAMPLE * times for times in _TRIAL_TIMES])
        return encode_alone(self._over(lane), tokens, budget=_TRIAL_BUDGET)

    @property
    def token_budget(self) -> int:
        """How many tokens a batch should have on this device."""
        return self.parts.budget.tokens

    def launch(self, ids: Ids, offsets: Offsets) -> Launched:
        """Start one batch. Texts of equal length must be neighbours, and none may be empty."""
        lane = self.parts.lane
        return lane.launch(self._forward, ids, offsets) if lane.ahead else Done(self.forward_batch(ids, offsets))

    def forward_batch(self, ids: Ids, offsets: Offsets) -> Vectors:
        """One batch, launched and waited for: float32 [texts, dims]."""
        return Lane(self.device).launch(self._forward, ids, offsets).collect()

    @torch.inference_mode()
    def _forward(self, ids: Ids, offsets: Offsets, *, at_once: bool = False) -> Tensor:
        features = self._reads(ids, offsets)
        features = replace(features, prompt_length=self._prompt_length, at_once=at_once)
        return finish(features, heads=self._heads, truncate_dims=self.spec.truncate_dims, unit=self.spec.normalize)

    def _reader(self) -> Callable[[Ids, Offsets], Features]:
        """The first module, asked for no more than the others want."""
        network = self.parts.network
        if not isinstance(network, Network) or not network.gives_first:
            return network.features
        asks = asks_first_only(self.spec.modules[1:], self._prompt_length)
        return network.first_tokens if asks else network.features

    def describe(self) -> dict[str, Any]:
        """Facts that a person asks for: where it runs, in what, which way texts go through, and why."""
        return {
            "device": str(self.device),
            "forward": "padded" if self.padded else "packed",
            "token_budget": self.token_budget,
            **self.parts.network.describe(),
            **self.parts.lane.describe(),
            **({"budget": self.parts.budget.reason} if self.parts.budget.reason else {}),
            **({"words": words} if (words := getattr(self.parts.tokenizer, "words", "")) else {}),
        }

    def variant(self, options: ModelOptions) -> Self:
        """The same loaded model with another prompt, width or normalization; or another route of it."""
        spec = vary(self.spec, self.parts.folder, options, find=locate)
        if _reads(spec) != _reads(self.spec) or not {key_of(m) for m in spec.modules[1:]} <= set(self.parts.heads):
            return self._assemble(self.parts.folder, spec, str(self.device))
        parts = self.parts
        if spec.modules[0] != self.spec.modules[0]:
            parts = replace(parts, tokenizer=network_tokenizer(parts.folder, spec))
        return type(self)(parts, spec)


def _reads(spec: Spec) -> Module:
    """The first module without its messages, which the tokenizer alone knows of."""
    first = spec.modules[0]
    return first.model_copy(update={"config": {key: first.config[key] for key in first.config if key != "message"}})
