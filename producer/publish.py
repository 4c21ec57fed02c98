"""What a run does with its table at its end, and waits for where a disk takes nothing or a bucket is away.

Knows no queue.
"""

import re
import time
from collections.abc import Callable
from typing import TypeVar

from producer.display import Display
from schemas.errors import BucketAway, RunFailed
from schemas.run import RunRecord

#: Ten minutes in all.
_RESTS_SECONDS = (1, 2, 4, 8, 15, *[30] * 19)
#: Colours and arrows of the library beneath.
_DECORATION = re.compile(r"\x1b\[\d+m|↳|\s+")

T = TypeVar("T")


def publish(record: RunRecord, attempt: Callable[[], int], display: Display) -> int:
    """The version that the run is in, by an attempt that may be repeated.

    Raises `RunFailed` where the table cannot be written for ten minutes.
    """
    return _patiently(
        attempt,
        display,
        news="all is embedded, but the version cannot be written",
        end=f"run {record.run} could not be committed to {record.table}",
        way_out=f"its parts are kept: when that is mended, vecmill resume {record.run}",
    )


def told(record: RunRecord, look: Callable[[], T], display: Display) -> T:
    """What is seen of a committed run; raises `RunFailed` where the table cannot be read for ten minutes."""
    return _patiently(
        look,
        display,
        news="what the run came to cannot be read",
        end=f"what run {record.run} came to cannot be read from {record.table}",
        way_out=f"vecmill status {record.run}",
    )


def _patiently(work: Callable[[], T], display: Display, *, news: str, end: str, way_out: str) -> T:
    told_it = False
    for rest in _RESTS_SECONDS:
        try:
            return work()
        except FileNotFoundError:
            raise
        except BucketAway as error:
            said = str(error.args[0])
        except OSError as error:
            said = " ".join(_DECORATION.sub(" ", str(error)).split())
        if not told_it:
            display.say(f"{news}: {said}; waiting until that is mended")
            told_it = True
        time.sleep(rest)
    raise RunFailed(f"{end}: {said}", way_out=way_out)
