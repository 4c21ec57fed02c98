"""The process of a local S3: moto behind a real socket, with a list of what it was asked, and faults to order.

What was put is in a journal before it is answered, so a server that is killed comes back with what it had. Uploads in
pieces alone do not outlive it.
"""

import base64
import io
import json
import logging
import sys
import threading
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


def _nobody(*_: Any) -> None:
    """Is not interested in the answer."""


class Application:
    """What the process serves; its files lie in a folder."""

    def __init__(self, folder: Path) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._moto = DomainDispatcherApplication(create_backend_app)
        self._journal = folder / "journal.jsonl"
        self._faults = folder / "fault.json"
        self._log = (folder / "requests.jsonl").open("a")
        self._given: dict[str, int] = {}
        # S3 decides conditional puts one after the other; moto looks and writes in two steps.
        self._one_put = threading.Lock()
        self._replay()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        condition = environ.get("HTTP_IF_NONE_MATCH")
        # What is not read would stand before the next request on the connection.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)

        def noted(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            sent = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
            asked = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], condition, int(status[:3]), sent)
            self._log.write(json.dumps(asked) + "\n")
            self._log.flush()
            return start(status, headers, *rest)

        fault = self._fault(environ["REQUEST_METHOD"])
        if fault and fault["after"]:
            with self._one_put:
                list(self._moto(environ, self._keeping(environ, body)))
        if fault and fault["answer"] != "ignore":
            said = f"<Error><Code>{fault['code']}</Code><StringToSign>{SECRET}</StringToSign></Error>".encode()
            noted(fault["answer"], [("Content-Length", str(len(said)))])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [said]
        if fault:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self._one_put:
            return list(self._moto(environ, self._keeping(environ, body, noted)))

    def _keeping(self, environ: dict[str, Any], body: bytes, start: Callable[..., Any] = _nobody) -> Callable[..., Any]:
        """The `start` of a request that is carried out: what it changes is in the journal before it is answered."""

        def started(status: str, *rest: Any) -> Any:
            if int(status[:3]) < 300 and environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                said = {name: text for name, text in environ.items() if isinstance(text, str)}
                with self._journal.open("a") as journal:
                    journal.write(json.dumps([said, base64.b64encode(body).decode()]) + "\n")
            return start(status, *rest)

        return started

    def _replay(self) -> None:
        lines = self._journal.read_text().split("\n") if self._journal.exists() else [""]
        # The last is empty, or torn: nobody was told that it is there.
        for said, body in map(json.loads, lines[:-1]):
            environ = {**said, "wsgi.input": io.BytesIO(base64.b64decode(body)), "wsgi.errors": sys.stderr}
            list(self._moto(environ, _nobody))
        self._journal.write_text("".join(f"{line}\n" for line in lines[:-1]))

    def _fault(self, method: str) -> dict[str, Any] | None:
        text = self._faults.read_text() if self._faults.exists() else ""
        fault: dict[str, Any] = json.loads(text) if text else {}
        if not fault.get("answer") or fault["method"] not in ("", method):
            return None
        with self._one_put:
            given = self._given[text] = self._given.get(text, 0) + 1
        return fault if given <= fault["times"] else None


def main(folder: str, port: str) -> None:
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", int(port), Application(Path(folder)), threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
