"""Plays seeds until so many fault events have struck: `python -m tests.chaos --events 500 --keep build/chaos`.

`--seed N` plays one again. One line of JSON per seed; the exit code is 1 where one lost, doubled or broke anything.
"""

import argparse
import sys
from itertools import count
from pathlib import Path

from tests.chaos.play import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1, help="several of these beside each other share the seeds")
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--faults", type=int, default=6, help="per run; part of what a seed means")
    parser.add_argument(
        "--keep", type=Path, default=Path("build/chaos"), help="where logs stay, and worlds that failed"
    )
    asked = parser.parse_args()
    asked.keep.mkdir(parents=True, exist_ok=True)
    events, failed = 0, 0
    for seed in [asked.seed] if asked.seed is not None else count(asked.first, asked.stride):
        outcome = play(seed, keep=asked.keep.resolve(), faults=asked.faults)
        sys.stdout.write(outcome.line() + "\n")
        sys.stdout.flush()
        events += outcome.events
        failed += not outcome.ok
        if events >= asked.events:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
