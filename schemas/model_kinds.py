"""What each kind of module behind the first one says in its folder, in one spelling.

A registry by kind: a kind that is not in it is an error, never a skip. Nothing here loads a weight, and only what is
not the usual is added to a configuration, so that the fingerprints of models that work stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_object
from schemas.spec import Task

#: The flags of the old Pooling schema, in the order in which they are concatenated.
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_POOLING_KNOWN = frozenset({"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt"})
_TANH = "torch.nn.modules.activation.Tanh"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one module, whom to tell what a person should know of it, and the task that was asked for."""

    folder: Path
    warnings: list[str] = field(default_factory=list)
    task: Task | None = None

    def read(self, name: str = "config.json") -> dict[str, Any]:
        """One of its JSON files; {} where there is none."""
        return read_object(self.folder / name)

    def number(self, config: dict[str, Any], *keys: str) -> int:
        """The first of some keys, a size."""
        value = next((config[key] for key in keys if key in config), None)
        if not isinstance(value, int) or value <= 0:
            raise ModelError(f"{self.folder} has {keys[0]} = {value!r}", way_out="fetch the model again")
        return value


def _pooling(place: Place) -> dict[str, Any]:
    config = place.read()
    unknown = sorted(set(config) - _POOLING_KNOWN - set(_POOLING_FLAGS))
    if unknown:
        raise ModelError(f"{place.folder}/config.json has unknown keys: {', '.join(unknown)}")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else list(modes)
    unknown = [mode for mode in modes if mode not in _POOLING_FLAGS.values()]
    if unknown or not modes:
        known = list(_POOLING_FLAGS.values())
        raise ModelError(f"{place.folder}: pooling {unknown} is unknown", way_out=f"known are {known}")
    return {"modes": modes, "include_prompt": bool(config.get("include_prompt", True))}


def _normalize(place: Place) -> dict[str, Any]:
    return _level(place, place.read(), usual_only=True)


def _dense(place: Place) -> dict[str, Any]:
    config = place.read()
    activation = config.get("activation_function") or _TANH
    if not activation.startswith("torch."):
        place.warnings.append(
            f"activation {activation} of {place.folder.name} is code of the model's own and is not run; Tanh is used, "
            "as in sentence-transformers"
        )
        activation = _TANH
    return {
        "in_features": place.number(config, "in_features"),
        "out_features": place.number(config, "out_features"),
        "bias": bool(config.get("bias", True)),
        "activation": activation.rpartition(".")[2],
        "residual": bool(config.get("use_residual", False)),
        **_level(place, config),
    }


def _level(place: Place, config: dict[str, Any], *, usual_only: bool = False) -> dict[str, Any]:
    """Whether a module works on the sentence's vector (the usual, and so not said) or on each token's."""
    takes = config.get("module_input_name") or "sentence_embedding"
    gives = config.get("module_output_name") or takes
    allowed = {"sentence_embedding"} if usual_only else {"sentence_embedding", "token_embeddings"}
    if takes != gives or takes not in allowed:
        raise ModelError(
            f"{place.folder}/config.json has module_input_name = {takes!r} and module_output_name = {gives!r}",
            way_out=f"supported is the same name for both, of {', '.join(sorted(allowed))}",
        )
    return {} if takes == "sentence_embedding" else {"level": "tokens"}


def _layer_norm(place: Place) -> dict[str, Any]:
    return {"dimension": place.number(place.read(), "dimension")}


def _dropout(_: Place) -> dict[str, Any]:
    return {}


def _weighted_layers(place: Place) -> dict[str, Any]:
    config = place.read()
    return {"start": int(config.get("layer_start", 4)), "layers": int(config.get("num_hidden_layers", 12))}


def _lstm(place: Place) -> dict[str, Any]:
    config = place.read("lstm_config.json")
    return {
        "in_features": place.number(config, "embedding_dimension", "word_embedding_dimension"),
        "hidden": place.number(config, "hidden_dim"),
        "layers": int(config.get("num_layers", 1)),
        "bidirectional": bool(config.get("bidirectional", True)),
    }


def _cnn(place: Place) -> dict[str, Any]:
    config = place.read("cnn_config.json")
    kernels = list(config.get("kernel_sizes") or (1, 3, 5))
    return {
        "in_features": place.number(config, "in_embedding_dimension", "in_word_embedding_dimension"),
        "channels": int(config.get("out_channels", 256)),
        "kernels": kernels,
        "strides": list(config.get("stride_sizes") or [1] * len(kernels)),
    }


#: Their weights come from their configuration file, which the content of the model names.
def _word_weights(place: Place) -> dict[str, Any]:
    return {"words": len(place.read().get("vocab", ()))}


READERS: dict[str, Callable[[Place], dict[str, Any]]] = {
    "Pooling": _pooling,
    "Normalize": _normalize,
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
    "WeightedLayerPooling": _weighted_layers,
    "LSTM": _lstm,
    "CNN": _cnn,
    "WordWeights": _word_weights,
}
