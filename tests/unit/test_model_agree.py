"""A worker takes from a spec what users may choose, and nothing else that its model's files do not say."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ModelError
from schemas.model_adapter import Base
from schemas.model_agree import check_agrees
from schemas.model_folder import resolve
from schemas.spec import ModelOptions, Spec
from tests.unit.test_model_fuzz import ADAPTER, CHAT, OPTIONS, ROUTED, SENTENCES, WORDS, places, replaced, saved

CHOSEN = [*OPTIONS, ModelOptions(model="m", prompt="p: ", normalize=False, dtype="bfloat16", dims=3)]


def agrees(spec: Spec, folder: Path) -> bool:
    try:
        check_agrees(spec, folder, commit=None, base=None)
    except ModelError:
        return False
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path, SENTENCES)


@pytest.mark.parametrize("layout", [SENTENCES, ROUTED, WORDS, CHAT])
def test_what_users_may_choose_is_agreed_to(tmp_path: Path, layout: dict[str, Any]) -> None:
    folder, resolved = saved(tmp_path, layout), 0
    for options in CHOSEN:
        try:
            spec = resolve(folder, options)
        except ModelError:
            continue
        check_agrees(spec, folder, commit=None, base=None)
        resolved += 1
    assert resolved >= 2


def test_the_base_of_an_adapter_may_lie_elsewhere(tmp_path: Path) -> None:
    folder = saved(tmp_path, ADAPTER)
    spec = resolve(folder, OPTIONS[0], find=lambda _: (folder / "base", None))
    check_agrees(spec, folder, commit=None, base=Base("other/name", folder / "base", None))
    with pytest.raises(ModelError):
        check_agrees(spec.model_copy(update={"base": None}), folder, commit=None, base=None)


def test_nothing_of_the_modules_may_be_another(folder: Path) -> None:
    spec = resolve(folder, OPTIONS[0])
    plain = spec.model_dump(mode="json")
    changed = 0
    for place in places(plain["modules"])[1:]:
        for by in (None, "x", 7, True, {"trust_remote_code": True}):
            try:
                other = Spec.model_validate(plain | {"modules": replaced(plain["modules"], place, by)})
            except ValueError:
                continue
            assert other.modules == spec.modules or not agrees(other, folder), (place, by)
            changed += 1
    assert changed > 50


@pytest.mark.parametrize("arguments", ["model_kwargs", "processor_kwargs", "config_kwargs"])
def test_no_argument_reaches_transformers_that_the_files_do_not_give(folder: Path, arguments: str) -> None:
    spec = resolve(folder, OPTIONS[0])
    for more in {"trust_remote_code": True}, {"subfolder": "x"}, {"gguf_file": "x"}, {"_configuration_file": "x"}:
        first = spec.modules[0]
        config = {**first.config, arguments: {**first.config[arguments], **more}}
        other = spec.model_copy(update={"modules": (first.model_copy(update={"config": config}), *spec.modules[1:])})
        with pytest.raises(ModelError, match="asks for modules that the files in"):
            check_agrees(other, folder, commit=None, base=None)


@pytest.mark.parametrize("changes", [{"dims": 10**9}, {"max_tokens": 10**9}, {"truncate_dims": 1}, {"normalize": True}])
def test_sizes_are_those_of_the_files_and_of_the_choices(folder: Path, changes: dict[str, Any]) -> None:
    assert not agrees(resolve(folder, OPTIONS[0]).model_copy(update=changes), folder)
