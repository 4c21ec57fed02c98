"""From a model's folder and what the user asks to a Spec: reads JSON, loads no weight, needs no torch.

The producer and the worker both resolve here, so they agree on what a model is before any vector exists.
"""

from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_checks import check_complete, check_usable
from schemas.model_files import content_of, read_object
from schemas.model_length import resolve_length
from schemas.model_modules import raw_modules, read_modules
from schemas.model_prompt import resolve_prompt
from schemas.model_transformer import transformer_config
from schemas.spec import ModelOptions, Module, Spec

_HIDDEN_KEYS = ("hidden_size", "d_model", "dim", "n_embd")

_UNTRAINED = "no modules.json: the model was not trained for sentences; pooling {} was chosen by rule"
_CUT = "vectors are cut after the model's own normalization and so are not of unit length; --normalize makes them so"
_CHAT = "the tokenizer has a chat template; texts are embedded plain, not as chat messages"


def resolve(folder: Path, options: ModelOptions, *, revision: str | None = None) -> Spec:
    """How a text becomes a vector with the model in `folder`; `revision` is its commit where it came from a hub."""
    config = _model_config(folder)
    modules = read_modules(folder)
    warnings = [] if modules else _raw_warnings(folder, config)
    modules = _overridden(modules or raw_modules(config), options)
    place = folder / modules[0].path
    config = read_object(place / "config.json") or config
    saved = read_object(folder / "config_sentence_transformers.json")
    check_usable(folder, place, config=config, saved=saved, options=options)
    if revision is None:
        check_complete(place)
    length = resolve_length(
        options.max_tokens,
        module=transformer_config(place),
        tokenizer=read_object(place / "tokenizer_config.json"),
        config=config,
    )
    spec = Spec(
        model=options.model,
        revision=revision,
        content=f"hub:{revision}" if revision else content_of(folder, [module.path for module in modules]),
        modules=modules,
        prompt=resolve_prompt(options, saved),
        max_tokens=length.max_tokens,
        dims=_width(config, modules),
        dtype=options.dtype,
        trust_remote_code=options.trust_remote_code,
        warnings=tuple(filter(None, [*warnings, length.warning])),
    )
    spec = _ending(spec, config, dims=options.dims or saved.get("truncate_dim"), normalize=options.normalize)
    if spec.truncate_dims and not spec.normalize and spec.modules[-1].kind == "Normalize":
        return spec.model_copy(update={"warnings": (*spec.warnings, _CUT)})
    return spec


def vary(spec: Spec, folder: Path, options: ModelOptions) -> Spec:
    """The same model with another prompt or another end; what `options` leaves open stays as it is.

    Looks at the prompt, prompt_name, task, dims and normalize of `options`, at nothing else.
    """
    if (options.prompt, options.prompt_name, options.task) != (None, None, None):
        saved = read_object(folder / "config_sentence_transformers.json")
        spec = spec.model_copy(update={"prompt": resolve_prompt(options, saved)})
    config = read_object(folder / spec.modules[0].path / "config.json")
    normalize = options.normalize if options.normalize is not None else (spec.normalize or None)
    return _ending(spec, config, dims=options.dims or spec.truncate_dims, normalize=normalize)


def _ending(spec: Spec, config: dict[str, Any], *, dims: int | None, normalize: bool | None) -> Spec:
    """Cut after the saved modules, then make unit length; `normalize` False also takes out a saved Normalize."""
    modules = tuple(module for module in spec.modules if normalize is not False or module.kind != "Normalize")
    width = _width(config, modules)
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


def _model_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder", way_out="give a hub id, or a folder that holds a model")
    if not (folder / "modules.json").exists() and not (folder / "config.json").exists():
        raise ModelError(
            f"{folder} holds no model: neither modules.json nor config.json is there",
            way_out="give the folder that holds the model's config.json",
        )
    return read_object(folder / "config.json")


def _raw_warnings(folder: Path, config: dict[str, Any]) -> list[str]:
    warnings = [_UNTRAINED.format(raw_modules(config)[1].config["modes"][0])]
    if "chat_template" in read_object(folder / "tokenizer_config.json") or (folder / "chat_template.jinja").exists():
        warnings.append(_CHAT)
    return warnings


def _overridden(modules: tuple[Module, ...], options: ModelOptions) -> tuple[Module, ...]:
    if options.pooling is None:
        return modules
    pooling = modules[1].model_copy(update={"config": {**modules[1].config, "modes": [options.pooling]}})
    return (modules[0], pooling, *modules[2:])


def _width(config: dict[str, Any], modules: tuple[Module, ...]) -> int:
    text = config.get("text_config") or config
    hidden = next((text[key] for key in _HIDDEN_KEYS if isinstance(text.get(key), int)), None)
    if hidden is None:
        raise ModelError(f"config.json names no width of the hidden states ({', '.join(_HIDDEN_KEYS)})")
    width = hidden * len(modules[1].config["modes"])
    for module in modules[2:]:
        takes = module.config.get("in_features", module.config.get("dimension", width))
        if takes != width:
            raise ModelError(f"{module.kind} in {module.path!r} takes {takes} values, but gets {width}")
        width = module.config.get("out_features", width)
    return int(width)
