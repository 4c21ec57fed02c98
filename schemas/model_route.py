"""Which of a Router's routes a task takes. With the task known, a Router is the modules of its route."""

import ast
from typing import Any

from schemas.errors import ModelError
from schemas.model_kinds import Place
from schemas.spec import Task


def route_entries(place: Place, path: str, task: Task | None) -> list[dict[str, Any]]:
    """The modules of the route of `task`, as modules.json would list them."""
    config = place.read("router_config.json") or place.read()
    structure, types = config.get("structure"), config.get("types")
    if not isinstance(structure, dict) or not isinstance(types, dict):
        raise ModelError(f"{place.folder} has no router_config.json with routes", way_out="fetch the model again")
    route = _route(config.get("parameters") or {}, list(structure), task)
    prefix = "" if path in ("", ".") else f"{path}/"
    return [{"type": types[name], "path": f"{prefix}{name}", "name": f"{path}:{name}"} for name in structure[route]]


def _route(parameters: dict[str, Any], routes: list[str], task: Task | None) -> str:
    mapped = _mappings(parameters)
    for key in ((task, "text"), (task, None), (None, "text"), (None, None)):
        if key in mapped:
            return _known(mapped[key], routes)
    for name in (task, "text"):
        if name in routes:
            return str(name)
    if task is not None:
        raise ModelError(f"the model has no route for --task {task}", way_out=f"its routes are {', '.join(routes)}")
    default = parameters.get("default_route")
    if default is None and parameters.get("allow_empty_key", True):
        default = routes[0]
    if default is None:
        raise ModelError(
            f"the model takes one way for queries, another for documents: {', '.join(routes)}; it has no default",
            way_out="--task document to embed a corpus, --task query for questions",
        )
    return _known(default, routes)


def _mappings(parameters: dict[str, Any]) -> dict[tuple[str | None, str | None], str]:
    keys = {text: ast.literal_eval(text) for text in parameters.get("route_mappings") or {}}
    return {key: parameters["route_mappings"][text] for text, key in keys.items()}


def _known(route: str, routes: list[str]) -> str:
    if route not in routes:
        raise ModelError(f"the model's route {route!r} does not exist: it has {', '.join(routes)}")
    return route
