"""A local S3 in a process of its own, which can be killed, stand still, and come back on its port with what it had.

Of its own, since delta-rs asks a store with the interpreter's lock held: a server in the same process could not answer.
"""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.integration.s3_process import SECRET, Request

__all__ = ["SECRET", "Request", "S3Server"]


class S3Server:
    """One bucket on a free port; its files lie in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "requests.jsonl"
        self._faults = folder / "fault.json"
        self._log.touch()
        self._port = "0"
        self.start()
        self.bucket = f"bucket-{self._port}"
        self.env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
        request = urllib.request.Request(f"{self.env['AWS_ENDPOINT_URL']}/{self.bucket}", method="PUT")
        urllib.request.urlopen(request).close()

    @property
    def requests(self) -> list[Request]:
        """What was asked so far, and answered."""
        return [Request(*json.loads(line)) for line in self._log.read_text().splitlines()]

    def made(self, path: str) -> list[Request]:
        """The puts below a path of the bucket that were done, in their order."""
        return [one for one in self.requests if (one.method, one.status) == ("PUT", 200) and path in one.path]

    def fault(
        self, answer: str = "", *, method: str = "", code: str = "", times: int = 1_000_000, after: bool = False
    ) -> None:
        """Give the next requests of a method this answer, `403 Forbidden` say; "" means nothing is wrong any more.

        The answer "ignore" carries puts out whatever their condition says; with `after` all is carried out, and only
        the answer is wrong.
        """
        fault = {"answer": answer, "method": method, "code": code, "times": times, "after": after}
        self._faults.with_suffix(".new").write_text(json.dumps(fault))
        self._faults.with_suffix(".new").rename(self._faults)

    def start(self) -> None:
        """Begin, or come back."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.s3_process", str(self._folder), self._port],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._port = self._process.stdout.readline().strip()

    def signal(self, number: int) -> None:
        """Stop it for a while, or let it go on."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it; `start` brings it back."""
        if self._process.poll() is None:
            for number in (signal.SIGCONT, signal.SIGKILL):
                self.signal(number)
            self._process.communicate()
