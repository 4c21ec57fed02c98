"""From an entry of modules.json that names a class in the model's folder to that module, loaded.

The class is found and loaded in the ways of sentence-transformers 6.2, which is not imported here: where the class
itself is written against it, the user has to install it.
"""

from inspect import signature
from pathlib import Path
from typing import Any

import torch
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from schemas.errors import ModelError
from schemas.model_own import check_trusted
from schemas.model_transformer import transformer_config
from schemas.spec import Module, Spec

_LIBRARY = "sentence_transformers"
_OLD_NAMES = {"model_kwargs": "model_args", "processor_kwargs": "tokenizer_args", "config_kwargs": "config_args"}
#: What a configuration means that does not say it, for a class that asks.
_USUAL = {
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    "module_output_name": "token_embeddings",
}


def load_own(folder: Path, spec: Spec, module: Module, *, device: torch.device, dtype: torch.dtype | None) -> Any:
    """The module of a class of the model's own, ready to run; `dtype` None: in whatever it comes."""
    check_trusted(module, trusted=spec.trust_remote_code)
    try:
        kind = get_class_from_dynamic_module(module.kind, str(folder))
        made = _made(kind, folder, module, {} if dtype is None else {"dtype": dtype})
        first = next(iter(made.parameters()), None)
        # Only what came in another format is cast: a network may keep some of its numbers in float32 on purpose.
        return made.to(device, None if first is None or first.dtype == dtype else dtype).eval()
    except ImportError as cause:
        raise _not_installed(folder, module, cause) from cause
    except Exception as cause:  # code of anyone's: whatever it raises, it means the same
        raise ModelError(
            f"module {module.kind} of {folder} cannot be loaded: {type(cause).__name__}: {cause}"
        ) from cause


def task_of(made: Any, module: Module) -> dict[str, Any]:
    """What its forward is told beside the features: the task, where it or modules.json asks for one."""
    asked = {*module.config.get("kwargs", ()), *getattr(made, "forward_kwargs", ())}
    return {"task": module.config["task"]} if "task" in asked and "task" in module.config else {}


def _made(kind: Any, folder: Path, module: Module, model_kwargs: dict[str, Any]) -> Any:
    if len(signature(kind.load).parameters) > 1:
        more = {"model_kwargs": model_kwargs, "processor_kwargs": {}, "config_kwargs": {}}
        hub = {"token": None, "cache_folder": None, "revision": None, "local_files_only": False}
        return kind.load(str(folder), subfolder=module.path, trust_remote_code=True, backend="torch", **hub, **more)
    parameters = set(signature(kind.__init__).parameters)
    old, new = parameters & set(_OLD_NAMES.values()), {"model_kwargs", "config_kwargs"} <= parameters
    if not old and not new:
        return kind.load(str(folder / module.path))
    arguments = _arguments(folder, module, model_kwargs)
    if not new:
        arguments = {_OLD_NAMES.get(key, key): value for key, value in arguments.items()}
    return kind(str(folder), **{key: arguments[key] for key in arguments if key not in _USUAL or key in parameters})


def _arguments(folder: Path, module: Module, model_kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a class without a `load` of the new style is made with, as sentence-transformers' Transformer is."""
    said = {**_USUAL, **transformer_config(folder / module.path)}
    where = {"subfolder": module.path, "token": None, "cache_dir": None, "revision": None, "local_files_only": False}
    given = {name: {**(said.get(name) or {}), **where, "trust_remote_code": True} for name in _OLD_NAMES}
    given["model_kwargs"] |= model_kwargs
    return {**said, **given, "backend": "torch"}


def _not_installed(folder: Path, module: Module, cause: ImportError) -> ModelError:
    if _LIBRARY in str(cause) or (cause.name or "").startswith(_LIBRARY):
        return ModelError(
            f"module {module.kind} of {folder} is written against sentence-transformers, of which this is missing "
            f"here: {cause}",
            way_out="pip install sentence-transformers, or 'vecmill[own-modules]', where it is embedded",
        )
    return ModelError(
        f"module {module.kind} of {folder} needs a package that is not here: {cause}",
        way_out="install it where it is embedded",
    )
