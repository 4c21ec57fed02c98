"""Chat templates: whether a text is put into a message, in which form, and which template does it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_object, read_words
from schemas.spec import Task

#: What a template that takes the parts of a message one by one is known by, and families that take text all the same.
_STRUCTURED = ("content[0]", ".type", "'type'", '"type"', "item.type", "message.content[")
_FLAT_FAMILIES = ("apertus", "deepseek_v3", "gpt_oss", "seed_oss")

#: Wherever a template has this word, it may ask for the task; where it does not, being told changes nothing.
_TASK = re.compile(r"\btask\b")


def chat_template(folder: Path) -> str:
    """The template of the tokenizer in `folder`, or ""."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return read_words(file)
    template = read_object(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        template = next((entry.get("template") for entry in template if entry.get("name") == "default"), None)
    return template or ""


def message_form(template: str, family: str | None) -> str:
    """Whether a template takes the content of a message as one text or as a list of parts, by its own words."""
    parts = any(sign in template for sign in _STRUCTURED) and family not in _FLAT_FAMILIES
    return "structured" if parts else "flat"


def message_config(
    folder: Path, entry: dict[str, Any], options: dict[str, Any], task: Task | None = None
) -> dict[str, Any]:
    """How texts become messages, by the `message` entry of a module and its options for the template."""
    template = chat_template(folder)
    if not template:
        raise ModelError(f"{folder} wants chat messages, but has no chat template", way_out="fetch the model again")
    form = entry.get("format", "auto")
    if form == "auto":
        form = message_form(template, read_object(folder / "config.json").get("model_type"))
    digest = hashlib.blake2b(json.dumps(template).encode(), digest_size=16).hexdigest()
    return with_task({"format": form, "template": digest, "options": options}, folder, task)


def asks_for_task(template: str) -> bool:
    """Whether what a template writes may depend on the task."""
    return _TASK.search(template) is not None


def with_task(message: dict[str, Any], folder: Path, task: Task | None) -> dict[str, Any]:
    """The same messages for a task, where the template may ask for it; as they were without one."""
    if task is None or not asks_for_task(chat_template(folder)):
        return message
    return {**message, "task": task}
