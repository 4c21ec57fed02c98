"""What was probably meant by a name that is not there. Knows nothing of what is named."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one that is most like it, None where none is like it; capitals do not matter."""
    by_lower = {one.lower(): one for one in sorted(known)}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """The way out: the name that was probably meant, else something else."""
    found = nearest(name, known)
    return otherwise if found is None else f"did you mean {found}?"
