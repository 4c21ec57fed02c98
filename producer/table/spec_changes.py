"""Why vectors are made otherwise than those of a table: two specs, set against each other in lines for people."""

from typing import Any

from schemas.spec import Spec

_SHOWN_HASH = 12


def spec_changes(old: Spec, new: Spec) -> list[str]:
    """What differs between two specs and changes vectors, a line each; none where their fingerprints are the same."""
    before, after = _plain(old), _plain(new)
    if old.content == new.content:
        # The same files under two names are the same model.
        before["model"] = after["model"]
    was, comes = _modules(old), _modules(new)
    for name in was.keys() & comes.keys():
        before |= {f"{name}.{key}": value for key, value in was[name].items()}
        after |= {f"{name}.{key}": value for key, value in comes[name].items()}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if not names and old.fingerprint != new.fingerprint:
        before["fingerprint"], after["fingerprint"], names = old.fingerprint, new.fingerprint, ["fingerprint"]
    return [f"{name}: {before.get(name)!r} in the table, {after.get(name)!r} in the run" for name in names]


def _plain(spec: Spec) -> dict[str, Any]:
    """What the fingerprint is made of but the modules' own settings, and the model's name."""
    meaning = spec.meaning()
    modules, content = meaning.pop("modules"), meaning.pop("content")
    said = {"model": spec.model, "files of the model": content.removeprefix("files:")[:_SHOWN_HASH]}
    return {**said, "modules": ", ".join(module["kind"] for module in modules), **meaning}


def _modules(spec: Spec) -> dict[str, dict[str, Any]]:
    """The settings of each module; what one of them has alone is told by the list of modules."""
    modules = spec.meaning()["modules"]
    names = _names([module["kind"] for module in modules])
    return {
        name: _flat({"path": module["path"], **module["config"]}) for name, module in zip(names, modules, strict=True)
    }


def _names(kinds: list[str]) -> list[str]:
    """Each kind, with its number among those of the kind where there are several."""
    return [
        kind if kinds.count(kind) == 1 else f"{kind} {kinds[: place + 1].count(kind)}"
        for place, kind in enumerate(kinds)
    ]


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict) and value:
        parts = [(f"{name}.{key}" if name else str(key), one) for key, one in value.items()]
        return {key: one for part, inner in parts for key, one in _flat(inner, part).items()}
    if isinstance(value, list) and not any(isinstance(one, dict | list) for one in value):
        return {name: ", ".join(map(str, value))}
    return {name: value}
