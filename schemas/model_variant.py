"""The same model with another prompt, task or end: from one spec of a folder to another. Loads no weight."""

from pathlib import Path

from schemas.model_adapter import Find, find_folder
from schemas.model_chat import with_task
from schemas.model_files import read_object, understood
from schemas.model_folder import ending, resolve, sound
from schemas.model_modules import has_routes, read_modules
from schemas.model_prompt import resolve_prompt, unchosen_prompts
from schemas.spec import ModelOptions, Module, Spec, Task

#: A request that leaves all open.
_NOTHING = ModelOptions(model="")


def vary(spec: Spec, folder: Path, options: ModelOptions, *, find: Find = find_folder) -> Spec:
    """The same model with another prompt or another end; what `options` leaves open stays as it is.

    Looks at the prompt, prompt_name, task, dims and normalize of `options`, at nothing else. Where the task decides
    the modules, another task is another spec.
    """
    with understood(folder):
        return sound(_varied(spec, folder, options.model_copy(update={"pooling": None, "max_tokens": None}), find))


def _varied(spec: Spec, folder: Path, options: ModelOptions, find: Find) -> Spec:
    if options.task is not None and has_routes(folder):
        return _other_route(spec, folder, options, find)
    spec = spec.model_copy(update={"choices": spec.choices.made_by(options)})
    normalize = options.normalize if options.normalize is not None else (spec.normalize or None)
    if (options.prompt, options.prompt_name, options.task) != (None, None, None):
        saved = read_object(folder / "config_sentence_transformers.json")
        told = tuple(warning for warning in spec.warnings if warning != unchosen_prompts(_NOTHING, saved))
        changed = {"prompt": resolve_prompt(options, saved), "warnings": told}
        spec = spec.model_copy(update=changed | {"modules": _for_task(spec, folder, options.task)})
    return ending(spec, folder, dims=options.dims or spec.truncate_dims, normalize=normalize)


def _for_task(spec: Spec, folder: Path, task: Task | None) -> tuple[Module, ...]:
    """The modules for a task, which a chat template may ask for."""
    first = spec.modules[0]
    if "message" not in first.config:
        return spec.modules
    message = with_task(first.config["message"], folder / first.path, task)
    return (first.model_copy(update={"config": {**first.config, "message": message}}), *spec.modules[1:])


def _other_route(spec: Spec, folder: Path, options: ModelOptions, find: Find) -> Spec:
    """The spec of the task of `options`, with all that was chosen for this one."""
    choices = spec.choices.made_by(options)
    asked = choices.model_dump()
    if not any(module.kind == "Pooling" for module in read_modules(folder, options.task, [])):
        asked["pooling"] = None  # Chosen for the routes that pool tokens.
    kept = {"model": spec.model, "dtype": spec.dtype, "trust_remote_code": spec.trust_remote_code}
    other = resolve(folder, options.model_copy(update=asked | kept), revision=spec.revision, find=find)
    return other.model_copy(update={"choices": choices})
