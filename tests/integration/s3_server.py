"""A local S3 in a process of its own: moto behind a real socket, with a list of what it was asked, and faults to order.

Of its own, since delta-rs asks a store with the interpreter's lock held: a server in the same process could not answer.
"""

import json
import logging
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

SECRET = "a-secret-that-nobody-may-see"


class Request(NamedTuple):
    method: str
    path: str
    if_none_match: str | None
    status: int
    #: Bytes of the answer, as its head says.
    sent: int


class S3Server:
    """One bucket on a free port; its files lie in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "requests.jsonl"
        self._faults = folder / "fault.json"
        self._log.touch()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.s3_server", str(self._log), str(self._faults)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        self.bucket = f"bucket-{port}"
        self.env = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
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

    def fault(self, answer: str = "", *, method: str = "", code: str = "", times: int = 1_000_000) -> None:
        """Give the next requests of a method this answer, `403 Forbidden` say; "" means nothing is wrong any more.

        The answer "ignore" carries puts out whatever their condition says.
        """
        self._faults.write_text(json.dumps({"answer": answer, "method": method, "code": code, "times": times}))

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


class Application:
    """What the process serves."""

    def __init__(self, log: Path, faults: Path) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._log = log.open("a")
        self._faults = faults
        self._given: dict[str, int] = {}
        # S3 decides conditional puts one after the other; moto looks and writes in two steps.
        self._one_put = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        condition = environ.get("HTTP_IF_NONE_MATCH")

        def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            sent = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
            asked = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], condition, int(status[:3]), sent)
            self._log.write(json.dumps(asked) + "\n")
            self._log.flush()
            return start(status, headers, *rest)

        fault = self._fault(environ["REQUEST_METHOD"])
        if fault and fault["answer"] != "ignore":
            # What is not read would stand before the next request on the connection.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            body = f"<Error><Code>{fault['code']}</Code><StringToSign>{SECRET}</StringToSign></Error>".encode()
            noted(fault["answer"], [("Content-Length", str(len(body)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
        if fault:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self._one_put:
            return list(self._moto(environ, noted))

    def _fault(self, method: str) -> dict[str, Any] | None:
        text = self._faults.read_text() if self._faults.exists() else ""
        fault: dict[str, Any] = json.loads(text) if text else {}
        if not fault.get("answer") or fault["method"] not in ("", method):
            return None
        with self._one_put:
            given = self._given[text] = self._given.get(text, 0) + 1
        return fault if given <= fault["times"] else None


def main(log: str, faults: str) -> None:
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, Application(Path(log), Path(faults)), threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
