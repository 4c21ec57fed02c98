"""Commits a finished run, and waits for a disk that takes nothing meanwhile. Knows no queue."""

import re
import time
from collections.abc import Callable

from producer.display import Display
from schemas.errors import RunFailed
from schemas.run import RunRecord

#: Ten minutes in all.
_RESTS_SECONDS = (1, 2, 4, 8, 15, *[30] * 19)
#: Colours and arrows of the library beneath.
_DECORATION = re.compile(r"\x1b\[\d+m|↳|\s+")


def publish(record: RunRecord, attempt: Callable[[], int], display: Display) -> int:
    """The version that the run is in, by an attempt that may be repeated.

    Raises `RunFailed` where the table cannot be written for ten minutes.
    """
    told = False
    for rest in _RESTS_SECONDS:
        try:
            return attempt()
        except FileNotFoundError:
            raise
        except OSError as error:
            said = " ".join(_DECORATION.sub(" ", str(error)).split())
        if not told:
            display.say(f"all is embedded, but the version cannot be written: {said}; waiting until that is mended")
            told = True
        time.sleep(rest)
    raise RunFailed(
        f"run {record.run} could not be committed to {record.table}: {said}",
        way_out=f"its parts are kept: when that is mended, vecmill resume {record.run}",
    )
