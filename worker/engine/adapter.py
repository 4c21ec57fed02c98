"""An adapter merged into its base network once, when it is loaded: what runs then is a plain network.

So it packs like any other, at the base's speed. Knows the layers that peft puts into a network; the way in is the one
that sentence-transformers takes, through transformers.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import ModelError


def merged(network: Any, place: Path) -> Any:
    """`network` changed by the adapter in `place`, without a layer more than before."""
    if find_spec("peft") is None:
        raise ModelError(f"{place} is an adapter, which needs peft to be read", way_out="pip install 'vecmill[peft]'")
    try:
        # Asks for nothing of a hub: `place` is a folder, and the base is loaded already.
        report = network.load_adapter(str(place), adapter_kwargs={"local_files_only": True})
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as cause:
        raise ModelError(f"the adapter in {place} does not fit its base model: {cause}") from cause
    lost = sorted([*report.missing_keys, *report.unexpected_keys, *report.mismatched_keys], key=str)
    if lost:
        raise ModelError(
            f"the adapter in {place} does not fit its base model: {', '.join(map(str, lost[:3]))}",
            way_out="give the base model that it was trained on",
        )
    _unwrap(network, place)
    return network


def _unwrap(network: Any, place: Path) -> None:
    from peft.tuners.lora import LoraLayer
    from peft.utils.other import ModulesToSaveWrapper

    adapted = {name: layer for name, layer in network.named_modules() if isinstance(layer, LoraLayer)}
    saved = {name: layer for name, layer in network.named_modules() if isinstance(layer, ModulesToSaveWrapper)}
    if not adapted and not saved:
        raise ModelError(f"the adapter in {place} changes no layer of its base model")
    for name, layer in adapted.items():
        layer.merge(safe_merge=True)
        network.set_submodule(name, layer.get_base_layer())
    for name, layer in saved.items():
        network.set_submodule(name, layer.modules_to_save["default"])
    network._hf_peft_config_loaded = False
