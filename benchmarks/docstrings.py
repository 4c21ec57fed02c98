"""Real English texts that every Python has at hand: docstrings of the standard library and of installed packages.

Reads source files and imports nothing; the same installation gives the same texts in the same order.
"""

import ast
import inspect
import sysconfig
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

#: Shorter ones say little: "See above.", "Return self."
MIN_CHARS = 40
_SKIPPED = {
    "test",
    "tests",
    "testing",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "_vendor",
    "__pycache__",
}

Described = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstring_table(limit: int) -> pa.Table:
    """The first `limit` docstrings: id (a dotted name), text, package."""
    rows = list(islice(docstrings(), limit))
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(("id", "text", "package"))})


def docstrings() -> Iterator[tuple[str, str, str]]:
    """Dotted name, text and package of every docstring; no name and no text comes twice."""
    names: set[str] = set()
    texts: set[str] = set()
    for package, module, path in _modules():
        for name, text in _of_module(module, path):
            if len(text) >= MIN_CHARS and name not in names and text not in texts:
                names.add(name)
                texts.add(text)
                yield name, text, package


def _modules() -> Iterator[tuple[str, str, Path]]:
    """Package, dotted name and file of every module: the standard library's first, then the installed ones'."""
    for key in ("stdlib", "purelib"):
        root = Path(sysconfig.get_path(key))
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            if _SKIPPED.isdisjoint(parts) and all(part.isidentifier() for part in parts):
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                yield parts[0], module, path


def _of_module(module: str, path: Path) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            return  # Source for another Python, or none at all: templates come as .py files, too.
    yield from _of_node(module, tree)


def _of_node(name: str, node: Described) -> Iterator[tuple[str, str]]:
    text = ast.get_docstring(node, clean=False)
    if text:
        yield name, inspect.cleandoc(text)
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of_node(f"{name}.{child.name}", child)
