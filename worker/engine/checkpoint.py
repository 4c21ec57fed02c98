"""From a model's folder to its network, in the class sentence-transformers would load."""

import importlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.utils.logging import disable_progress_bar

from schemas.errors import ModelError
from schemas.model_adapter import is_adapter
from schemas.model_own import has_own
from schemas.spec import Spec
from worker.engine.adapter import merged
from worker.engine.locate import locate

_MODELS = "transformers.models"
#: Encoder-decoder checkpoints of which only the encoder runs, by model type; all others load whole.
_ENCODERS = {
    "t5": ("transformers", "T5EncoderModel"),
    "mt5": ("transformers", "MT5EncoderModel"),
    "umt5": ("transformers", "UMT5EncoderModel"),
    "longt5": ("transformers", "LongT5EncoderModel"),
    "switch_transformers": ("transformers", "SwitchTransformersEncoderModel"),
    "prophetnet": ("transformers", "ProphetNetEncoder"),
    "blenderbot": (f"{_MODELS}.blenderbot.modeling_blenderbot", "BlenderbotEncoder"),
    "blenderbot-small": (f"{_MODELS}.blenderbot_small.modeling_blenderbot_small", "BlenderbotSmallEncoder"),
    "m2m_100": (f"{_MODELS}.m2m_100.modeling_m2m_100", "M2M100Encoder"),
    "pegasus": (f"{_MODELS}.pegasus.modeling_pegasus", "PegasusEncoder"),
    "pegasus_x": (f"{_MODELS}.pegasus_x.modeling_pegasus_x", "PegasusXEncoder"),
    "marian": (f"{_MODELS}.marian.modeling_marian", "MarianEncoder"),
    "t5gemma": ("transformers", "T5GemmaEncoderModel"),
    "t5gemma2_text": (f"{_MODELS}.t5gemma2.modeling_t5gemma2", "T5Gemma2Encoder"),
}
#: The engine decides these; what a model's own file says of them would only be in the way.
_OURS = frozenset({"dtype", "torch_dtype", "attn_implementation", "device_map", "low_cpu_mem_usage"})


def load_network(folder: Path, spec: Spec, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The network of the Transformer module, ready to run, in the default attention of transformers."""
    module = spec.modules[0]
    place, trust = folder / module.path, spec.trust_remote_code
    source = str(_source(place, spec))
    disable_progress_bar()  # a worker's log is no terminal
    arguments = {key: value for key, value in module.config["model_kwargs"].items() if key not in _OURS}
    try:
        config = AutoConfig.from_pretrained(source, **module.config["config_kwargs"], trust_remote_code=trust)
        _check_attention(folder, config)
        # Nothing is generated, so keys and values of past tokens would be kept for nobody.
        config.use_cache = False
        config.output_hidden_states = _wants_layers(spec, said=bool(config.output_hidden_states))
        if config.model_type == "t5gemma":
            config.is_encoder_decoder = False
        network, report = _class_for(config, source, trust=trust).from_pretrained(
            source, config=config, dtype=dtype, trust_remote_code=trust, output_loading_info=True, **arguments
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as cause:
        raise ModelError(f"the weights of {folder} cannot be loaded: {cause}") from cause
    _check_complete(folder, network, report)
    return (merged(network, place) if spec.base is not None else network).to(device).eval()


def _check_attention(folder: Path, config: Any) -> None:
    """Refuse an attention that transformers would fetch from a hub and run: a name with a slash."""
    inner = [getattr(config, name, None) for name in getattr(config, "sub_configs", ())]
    for one in (config, *inner):
        named = getattr(one, "_attn_implementation", None)
        if isinstance(named, str) and "/" in named:
            raise ModelError(
                f"{folder} asks for the attention {named!r}, which is code of a hub",
                way_out="take attn_implementation out of its files",
            )


def _wants_layers(spec: Spec, *, said: bool) -> bool:
    # A module of the model's own code may use what the configuration says is there.
    kinds = [module.kind for module in spec.modules]
    return "WeightedLayerPooling" in kinds or (said and has_own(spec.modules))


def _source(place: Path, spec: Spec) -> Path:
    """Where the network's own weights lie: of an adapter, in the folder of its base model."""
    if is_adapter(place) != (spec.base is not None):
        raise ModelError(f"the files in {place} are an adapter, or the spec names one, but not both")
    if spec.base is None:
        return place
    source, _ = locate(spec.base, spec.base_revision)
    # transformers follows such a file on its own, to wherever it points.
    if is_adapter(source):
        raise ModelError(f"{source}, the base of an adapter, is an adapter too", way_out="merge it")
    return source


def _class_for(config: Any, source: str, *, trust: bool) -> Any:
    module, name = _ENCODERS.get(config.model_type, ("", ""))
    if module:
        return getattr(importlib.import_module(module), name)
    own = (getattr(config, "auto_map", None) or {}).get("AutoModel")
    # AutoModel remembers one network for each configuration class, and gives it where the code has changed since.
    return get_class_from_dynamic_module(own, source) if trust and own else AutoModel


def _check_complete(folder: Path, network: Any, report: dict[str, Any]) -> None:
    # A pooler on top of the network is random in many checkpoints, and no vector goes through it.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{folder} lacks weights of {type(network).__name__}: {', '.join(missing[:3])}"
            f"{' ...' if len(missing) > 3 else ''}; they would be random",
            way_out="give the folder of a complete checkpoint",
        )
