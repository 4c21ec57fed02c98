"""Chat templates: whether a text is put into a message, in which form, and which template does it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from schemas.errors import ModelError
from schemas.model_files import read_object

#: What a template that takes the parts of a message one by one is known by, and families that take text all the same.
_STRUCTURED = ("content[0]", ".type", "'type'", '"type"', "item.type", "message.content[")
_FLAT_FAMILIES = ("apertus", "deepseek_v3", "gpt_oss", "seed_oss")


def chat_template(folder: Path) -> str:
    """The template of the tokenizer in `folder`, or ""."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    template = read_object(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        template = next((entry.get("template") for entry in template if entry.get("name") == "default"), None)
    return template or ""


def message_form(template: str, family: str | None) -> str:
    """Whether a template takes the content of a message as one text or as a list of parts, by its own words."""
    parts = any(sign in template for sign in _STRUCTURED) and family not in _FLAT_FAMILIES
    return "structured" if parts else "flat"


def message_config(folder: Path, entry: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """How texts become messages, by the `message` entry of a module and its options for the template."""
    template = chat_template(folder)
    if not template:
        raise ModelError(f"{folder} wants chat messages, but has no chat template", way_out="fetch the model again")
    if _asks_for_task(template):
        raise ModelError(f"the chat template of {folder} asks for a task, which is not supported")
    form = entry.get("format", "auto")
    if form == "auto":
        form = message_form(template, read_object(folder / "config.json").get("model_type"))
    digest = hashlib.blake2b(json.dumps(template).encode(), digest_size=16).hexdigest()
    return {"format": form, "template": digest, "options": options}


def _asks_for_task(template: str) -> bool:
    inner = template.replace("{%", "\0").replace("{{", "\0").split("\0")[1:]
    words = (piece.partition("%}")[0].partition("}}")[0] for piece in inner)
    return any(word == "task" for piece in words for word in piece.replace("(", " ").replace(")", " ").split())
