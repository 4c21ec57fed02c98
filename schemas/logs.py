"""Log records as lines for people or as JSON for machines. Knows no event: those are named where they are logged.

Each record of ours has an `action`, a name that stays the same when its words change; docs/operations.md lists them.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

FORMATS = ("lines", "json")
#: The action of what other libraries log.
FOREIGN = "library"
#: They log each address that is asked, and such an address may be signed.
_TALKATIVE = ("httpx", "httpcore", "urllib3")
#: What a record of ours may carry beside its words.
_CARRIED = ("run", "job", "progress")


class LineFormatter(logging.Formatter):
    """`time level logger action: words`, then a traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(action)s: %(message)s", defaults={"action": FOREIGN})


class JsonFormatter(logging.Formatter):
    """One object a line; `fields` are in each of them."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__()
        self._fields = dict(fields)

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, whatever it holds."""
        said: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "action": getattr(record, "action", FOREIGN),
            "message": record.getMessage(),
            **self._fields,
            **{name: getattr(record, name) for name in _CARRIED if hasattr(record, name)},
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def configure_logs(log_format: str, *, file: str | None = None, level: int = logging.INFO, **fields: str) -> None:
    """Let all records of this process go to stderr, or to a file, in one of the two formats; `fields` go with JSON."""
    handler = logging.FileHandler(file) if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(fields) if log_format == "json" else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
