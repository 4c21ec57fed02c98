"""Which prompt goes before each text, from the request and the model's own list of prompts."""

from collections.abc import Mapping
from typing import Any

from schemas.errors import ModelError
from schemas.spec import ModelOptions


def resolve_prompt(options: ModelOptions, saved: dict[str, Any]) -> str:
    """A prompt given, else one named, else the task's, else the model's default, else none.

    `saved` is config_sentence_transformers.json. The names `query` and `document` always exist, as in
    sentence-transformers, and so a task never falls through to the default prompt.
    """
    prompts: dict[str, str | None] = {"query": None, "document": None, **(saved.get("prompts") or {})}
    default = saved.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise ModelError(f"the model's default prompt is {default!r}, which it does not have: {_names(prompts)}")
    if options.prompt is not None:
        return options.prompt
    name = options.prompt_name if options.prompt_name is not None else (options.task or default)
    if name is None:
        return ""
    if name not in prompts:
        raise ModelError(
            f"the model has no prompt {name!r}",
            way_out=f"it has {_names(prompts)}; or give the prompt itself with --prompt",
        )
    return prompts[name] or ""


def unchosen_prompts(options: ModelOptions, saved: dict[str, Any]) -> str:
    """What to tell where a model was trained with prompts, and none of them is used; else nothing."""
    prompts = {name: prompt for name, prompt in (saved.get("prompts") or {}).items() if prompt}
    chosen = (options.prompt, options.prompt_name, options.task, saved.get("default_prompt_name"))
    if not prompts or chosen != (None, None, None, None):
        return ""
    return f"the model has prompts ({_names(prompts)}), but none was chosen; see --prompt-name and --task"


def _names(prompts: Mapping[str, str | None]) -> str:
    return ", ".join(repr(name) for name in sorted(prompts))
