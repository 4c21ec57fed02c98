"""From a model's folder and what the user asks to a Spec: reads JSON, loads no weight, needs no torch.

The producer and the worker both resolve here, so they agree on what a model is before any vector exists.
"""

from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import ModelError
from schemas.model_adapter import Base, Find, adapted, base_of, content_in, find_folder, is_adapter
from schemas.model_chat import chat_template
from schemas.model_checks import check_complete, check_usable, code_warning, end_token_warning, without_idle_layers
from schemas.model_files import read_object, understood
from schemas.model_first import length_of
from schemas.model_modules import raw_modules, read_modules
from schemas.model_own import check_own
from schemas.model_prompt import resolve_prompt, unchosen_prompts
from schemas.model_shape import width_of
from schemas.spec import Choices, ModelOptions, Module, Spec

_UNTRAINED = "no modules.json: the model was not trained for sentences; pooling {} was chosen by rule"
_CUT = "vectors are cut after the model's own normalization and so are not of unit length; --normalize makes them so"
_CHAT = "no modules.json, but a chat template: texts are put into it as messages, as in sentence-transformers"


def resolve(
    folder: Path, options: ModelOptions, *, revision: str | None = None, find: Find = find_folder, content: str = ""
) -> Spec:
    """How a text becomes a vector with the model in `folder`; `revision` is its commit where it came from a hub.

    `find` says where the base model of an adapter lies; `content` is the identity of its files where that is known.
    """
    with understood(folder):
        return sound(_resolved(folder, options, revision, find, content))


def sound(spec: Spec) -> Spec:
    """A spec whose values are what they should be, and stay so on their way to a worker; a ValueError otherwise."""
    again = Spec.model_validate_json(spec.model_dump_json())
    if again.fingerprint != spec.fingerprint:
        raise ValueError("a number that JSON has no word for")
    return again


class _Found(NamedTuple):
    """What a folder says of its model, and the options of its modules; `place` holds the network, or what adapts it."""

    modules: tuple[Module, ...]
    place: Path
    base: Base | None
    network: dict[str, Any]
    saved: dict[str, Any]
    warnings: list[str]


def _resolved(folder: Path, options: ModelOptions, revision: str | None, find: Find, content: str) -> Spec:
    found = _found(folder, options, find)
    modules, base = found.modules, found.base
    if revision is None:
        check_complete(found.place, modules[0], base)
    length = length_of(found.place, modules[0], options.max_tokens, network=found.network)
    warnings = [
        *found.warnings,
        code_warning(found.network),
        length.warning,
        end_token_warning(found.place, modules),
        unchosen_prompts(options, found.saved),
    ]
    spec = Spec(
        model=options.model,
        revision=revision,
        base=base.name if base else None,
        base_revision=base.commit if base else None,
        content=content or content_in(folder, revision, modules, base),
        modules=modules,
        prompt=resolve_prompt(options, found.saved),
        max_tokens=length.max_tokens,
        dims=width_of(folder, modules),
        dtype=options.dtype,
        trust_remote_code=options.trust_remote_code,
        warnings=tuple(filter(None, warnings)),
        choices=Choices().made_by(options),
    )
    spec = ending(spec, folder, dims=options.dims or found.saved.get("truncate_dim"), normalize=options.normalize)
    if spec.truncate_dims and not spec.normalize and spec.modules[-1].kind == "Normalize":
        return spec.model_copy(update={"warnings": (*spec.warnings, _CUT)})
    return spec


def _found(folder: Path, options: ModelOptions, find: Find) -> _Found:
    _check_model(folder)
    warnings: list[str] = []
    modules = read_modules(folder, options.task, warnings)
    check_own(folder, modules, trusted=options.trust_remote_code)
    place = folder / (modules[0].path if modules else "")
    base = base_of(place, find)
    network = read_object((base.folder if base else place) / "config.json")
    if not modules:
        modules = raw_modules(folder, network, options.task)
        warnings += _raw_warnings(folder, modules)
    modules = without_idle_layers(network, _overridden(modules, options), warnings)
    saved = read_object(folder / "config_sentence_transformers.json")
    check_usable(folder, module=modules[0], network=network, saved=saved, options=options)
    if base is not None:
        modules = adapted(modules, network, place)
    return _Found(modules, place, base, network, saved, warnings)


def ending(spec: Spec, folder: Path, *, dims: int | None, normalize: bool | None) -> Spec:
    """Cut after the saved modules, then make unit length; `normalize` False also takes out a saved Normalize."""
    modules = tuple(module for module in spec.modules if normalize is not False or module.kind != "Normalize")
    width = width_of(folder, modules)
    if dims is not None and dims > width:
        raise ModelError(f"--dims {dims} is more than the model's {width}", way_out=f"--dims {width}, or less")
    cut = dims if dims is not None and dims < width else None
    return spec.model_copy(
        update={
            "modules": modules,
            "truncate_dims": cut,
            "dims": cut or width,
            # After a saved Normalize, and nothing cut off, doing it again would change nothing but the fingerprint.
            "normalize": bool(normalize) and not (modules[-1].kind == "Normalize" and cut is None),
        }
    )


def _check_model(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder", way_out="give a hub id, or a folder that holds a model")
    if not (folder / "modules.json").exists() and not (folder / "config.json").exists() and not is_adapter(folder):
        raise ModelError(
            f"{folder} holds no model: neither modules.json nor config.json is there",
            way_out="give the folder that holds the model's config.json",
        )


def _raw_warnings(folder: Path, modules: tuple[Module, ...]) -> list[str]:
    return [_UNTRAINED.format(modules[1].config["modes"][0]), _CHAT if chat_template(folder) else ""]


def _overridden(modules: tuple[Module, ...], options: ModelOptions) -> tuple[Module, ...]:
    if options.pooling is None:
        return modules
    if not any(module.kind == "Pooling" for module in modules):
        raise ModelError(f"--pooling {options.pooling}: the model pools no tokens", way_out="leave --pooling out")
    modes = {"modes": [options.pooling]}
    return tuple(
        module.model_copy(update={"config": {**module.config, **modes}}) if module.kind == "Pooling" else module
        for module in modules
    )
