"""Whether a spec says of a model what the model's own files say. Loads no weight.

A spec reaches a worker through Redis, or out of a table, and may be anybody's. What users may choose (prompt, task,
pooling, length, width, normalization, dtype) is taken from it. All else, and above all the arguments that reach
transformers, must be what the files say: a message can switch on nothing.
"""

from pathlib import Path
from typing import get_args

from schemas.errors import ModelError
from schemas.model_adapter import Base
from schemas.model_folder import resolve
from schemas.spec import ModelOptions, Spec, Task

_SAID = ("modules", "max_tokens", "truncate_dims", "dims", "normalize")


def check_agrees(spec: Spec, folder: Path, *, commit: str | None, base: Base | None) -> None:
    """Raise `ModelError` where the files in `folder` are others, or say something else, whatever the task was."""

    def said(task: Task | None, *, content: str) -> Spec:
        options = _options(spec, task)
        return resolve(folder, options, revision=commit, find=lambda name: _base(name, base), content=content)

    refusals: dict[Task | None, ModelError] = {}
    differ: dict[Task | None, tuple[str, ...]] = {}
    for task in (None, *get_args(Task)):
        try:
            found = said(task, content=spec.content)
            differ[task] = tuple(name for name in _SAID if getattr(found, name) != getattr(spec, name))
        except ModelError as error:
            refusals[task] = error
    if not differ:
        raise next(iter(refusals.values()))
    task = min(differ, key=lambda one: len(differ[one]))
    # Read whole once only: it is a hash over the weights.
    _check_files(spec, said(task, content=""), folder)
    if differ[task]:
        raise ModelError(
            f"the run asks for {', '.join(differ[task])} that the files in {folder} do not say",
            way_out="use one version of Vecmill for producer and workers, or start a new run",
        )


def _check_files(spec: Spec, said: Spec, folder: Path) -> None:
    if said.content != spec.content:
        raise ModelError(
            f"the files in {folder} are {said.content}, but the run was planned with {spec.content}",
            way_out="give this worker the same model files, or start a new run",
        )
    # A folder may have another name where the run was planned; its content was compared.
    if said.base != spec.base and said.base_revision is not None:
        raise ModelError(f"the model is an adapter of {said.base}, not of {spec.base}", way_out="start a new run")


def _options(spec: Spec, task: Task | None) -> ModelOptions:
    choices = spec.choices.model_dump()
    if not any(module.kind == "Pooling" for module in spec.modules):
        choices["pooling"] = None  # Chosen for another route.
    return ModelOptions(
        model=spec.model, prompt=spec.prompt, task=task, dtype=spec.dtype, trust_remote_code=spec.trust_remote_code,
        **choices,
    )  # fmt: skip


def _base(name: str, base: Base | None) -> tuple[Path, str | None]:
    if base is None:
        raise ModelError(f"the model is an adapter of {name}, of which the run says nothing", way_out="start a new run")
    return base.folder, base.commit
