"""The layers of a loaded network: finding linear ones, putting others in their places, seeing what passes through."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn


def plain_linears(model: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Every `nn.Linear` by one of its names; a subclass may do something else with its weight."""
    for name, module in model.named_modules():
        if type(module) is nn.Linear:
            yield name, module


def put(model: nn.Module, layers: Mapping[nn.Module, nn.Module]) -> None:
    """New layers for old ones, in every place where one hangs: it may hang in several."""
    for parent in list(model.modules()):
        for child, module in list(parent._modules.items()):
            if module is not None and module in layers:
                setattr(parent, child, layers[module])


@contextmanager
def hooked(modules: Iterable[nn.Module], see: Callable[..., None], *, named: bool = False) -> Iterator[None]:
    """Meanwhile each of these is seen behind its call: the module, its inputs (those with `named` too), its output."""
    hooks: list[Any] = [module.register_forward_hook(see, with_kwargs=named) for module in modules]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
