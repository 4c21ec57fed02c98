"""How often a run is looked at: a short one often, so that it ends when it is done; a long one once a second."""

_FIRST_SECONDS, _LAST_SECONDS, _GROWTH = 0.1, 1.0, 1.02
#: Near its end a long one is looked at often, too: so many times in the time that is left.
_LOOKS_IN_WHAT_IS_LEFT = 10


class Pace:
    """The rests between the looks at one run."""

    def __init__(self) -> None:
        self._usual = _FIRST_SECONDS

    def rest(self, left_seconds: float | None) -> float:
        """Seconds until the next look; `left_seconds` is how long the run is thought to last, if that is known."""
        usual, self._usual = self._usual, min(self._usual * _GROWTH, _LAST_SECONDS)
        if left_seconds is None:
            return usual
        return max(min(usual, left_seconds / _LOOKS_IN_WHAT_IS_LEFT), _FIRST_SECONDS)
