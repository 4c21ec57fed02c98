"""The linear layers of a loaded network: finding them, and putting others in their places."""

from collections.abc import Iterator, Mapping

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
