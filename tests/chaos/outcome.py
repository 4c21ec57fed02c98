"""What came of a seed, as a line of JSON."""

import json
from dataclasses import asdict, dataclass, field


@dataclass
class Outcome:
    """What came of a seed; `recovered` are the seconds until jobs of a struck worker were at work again, at most."""

    seed: int
    ok: bool = False
    events: int = 0
    seconds: float = 0.0
    drivers: list[str] = field(default_factory=list)
    starts: int = 0
    retries: int = 0
    reads: int = 0
    leftovers: int = 0
    recovered: dict[str, float] = field(default_factory=dict)
    recovered_jobs: dict[str, int] = field(default_factory=dict)
    wrong: str = ""

    def line(self) -> str:
        return json.dumps(asdict(self))
