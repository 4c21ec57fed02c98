"""How a text becomes a vector: what the user asked for, and what it resolved to.

A `Spec` is complete: two workers that load the same spec give the same vectors. Its hash is the
fingerprint; vectors of two fingerprints never share a version of a table.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import Field

from schemas.record import Record

Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
#: What a dtype may turn out to be, the finest first.
FINEST_FIRST: tuple[Dtype, ...] = ("float32", "float16", "bfloat16", "int8")
Task = Literal["query", "document"]
PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


class ModelOptions(Record):
    """What a user asks of a model; None means: as the model's own files say."""

    model: str
    revision: str | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    task: Task | None = None
    pooling: PoolingMode | None = None
    normalize: bool | None = None
    dims: int | None = Field(default=None, gt=0)
    max_tokens: int | None = Field(default=None, gt=0)
    dtype: Dtype = "auto"
    trust_remote_code: bool = False


class Choices(Record):
    """What a user chose in place of what the model's files say; None: as they say. Another route takes it over."""

    pooling: PoolingMode | None = None
    max_tokens: int | None = None
    dims: int | None = None
    normalize: bool | None = None

    def made_by(self, options: ModelOptions) -> "Choices":
        """These, and what `options` choose anew."""
        anew = options.model_dump(include=set(Choices.model_fields), exclude_none=True)
        return self.model_copy(update=anew)


class Module(Record):
    """One entry of modules.json, resolved: its kind, its folder inside the model, and its own configuration."""

    kind: str
    path: str = ""
    config: dict[str, Any] = Field(default_factory=dict)


class Spec(Record):
    """The resolved description of how a text becomes a vector.

    `model` and `revision` say where the files are (a hub id with a commit, or a folder); where these are an
    adapter, `base` and `base_revision` say it of the model that it changes. `content` is the identity of all
    those files: the commit, or a hash over the files of a folder. `max_tokens` is None where nothing limits
    the length. `dims` is the width of the stored vector.
    """

    model: str
    revision: str | None = None
    base: str | None = None
    base_revision: str | None = None
    content: str
    modules: tuple[Module, ...]
    prompt: str = ""
    max_tokens: int | None = Field(default=None, gt=0)
    truncate_dims: int | None = Field(default=None, gt=0)
    normalize: bool = False
    dims: int = Field(gt=0)
    dtype: Dtype = "auto"
    trust_remote_code: bool = False
    warnings: tuple[str, ...] = ()
    choices: Choices = Choices()

    def meaning(self) -> dict[str, Any]:
        """All of it that changes vectors: what the fingerprint is made of."""
        where = {"model", "revision", "base", "base_revision"}
        return self.model_dump(mode="json", exclude=where | {"trust_remote_code", "warnings", "choices"})

    @property
    def unit_vectors(self) -> bool:
        """Whether every stored vector has length 1."""
        ends_in_unit = bool(self.modules) and self.modules[-1].kind == "Normalize" and self.truncate_dims is None
        return self.normalize or ends_in_unit

    @property
    def fingerprint(self) -> str:
        """32 hex digits that change when, and only when, the vectors may: where the files lie does not count."""
        text = json.dumps(self.meaning(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
