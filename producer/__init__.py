"""The side that knows the corpus and the table; needs no torch.

    import producer
    result = producer.embed("corpus/*.parquet", model="BAAI/bge-small-en-v1.5", to="out/")
    ids, vectors = producer.read("out/")

The functions are looked up when they are first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producer.api import embed, read

__all__ = ["embed", "read"]

_HOMES = {"embed": "producer.api", "read": "producer.api"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
