"""From a model's folder to its network, in the class sentence-transformers would load."""

import importlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel
from transformers.utils.logging import disable_progress_bar

from schemas.errors import ModelError
from schemas.spec import Spec

#: Encoder-decoder checkpoints of which only the encoder runs, by model type; all others load whole.
_ENCODERS = {
    "t5": ("transformers", "T5EncoderModel"),
    "mt5": ("transformers", "MT5EncoderModel"),
    "umt5": ("transformers", "UMT5EncoderModel"),
    "longt5": ("transformers", "LongT5EncoderModel"),
    "switch_transformers": ("transformers", "SwitchTransformersEncoderModel"),
    "m2m_100": ("transformers.models.m2m_100.modeling_m2m_100", "M2M100Encoder"),
    "pegasus": ("transformers.models.pegasus.modeling_pegasus", "PegasusEncoder"),
    "marian": ("transformers.models.marian.modeling_marian", "MarianEncoder"),
}
#: The engine decides these; what a model's own file says of them would only be in the way.
_OURS = frozenset({"dtype", "torch_dtype", "attn_implementation", "device_map", "low_cpu_mem_usage"})


def load_network(folder: Path, spec: Spec, *, device: torch.device, dtype: torch.dtype) -> Any:
    """The network of the Transformer module, ready to run, in the default attention of transformers."""
    module = spec.modules[0]
    place, trust = str(folder / module.path), spec.trust_remote_code
    disable_progress_bar()  # a worker's log is no terminal
    arguments = {key: value for key, value in module.config["model_kwargs"].items() if key not in _OURS}
    try:
        config = AutoConfig.from_pretrained(place, **module.config["config_kwargs"], trust_remote_code=trust)
        # Nothing is generated, so keys and values of past tokens would be kept for nobody.
        config.use_cache = False
        network, report = _class_for(config).from_pretrained(
            place, config=config, dtype=dtype, trust_remote_code=trust, output_loading_info=True, **arguments
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as cause:
        raise ModelError(f"the weights of {folder} cannot be loaded: {cause}") from cause
    _check_complete(folder, network, report)
    return network.to(device).eval()


def _class_for(config: Any) -> Any:
    module, name = _ENCODERS.get(config.model_type, ("", ""))
    return getattr(importlib.import_module(module), name) if module else AutoModel


def _check_complete(folder: Path, network: Any, report: dict[str, Any]) -> None:
    # A pooler on top of the network is random in many checkpoints, and no vector goes through it.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"{folder} lacks weights of {type(network).__name__}: {', '.join(missing[:3])}"
            f"{' ...' if len(missing) > 3 else ''}; they would be random",
            way_out="give the folder of a complete checkpoint",
        )
