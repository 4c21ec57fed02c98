"""`rediss://`: a whole run through TLS, and nothing at all to a server that nobody vouches for."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from producer.broker import connect
from producer.embedded.redis_server import RedisServer
from producer.queue import JobQueue, QueueUnreachable
from schemas.errors import BrokerError
from tests.integration.conftest import Processes, wait_until
from tests.integration.test_runs import assert_holds_each_once
from tests.integration.test_worker import CELERY
from tests.integration.tls_proxy import TlsProxy, certificate

pytestmark = pytest.mark.integration


@pytest.fixture
def cert(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path)


@pytest.fixture
def proxy(server: RedisServer, cert: tuple[Path, Path]) -> Iterator[TlsProxy]:
    proxy = TlsProxy(urlsplit(server.url).port or 0, *cert)
    yield proxy
    proxy.stop()


@pytest.fixture
def url(server: RedisServer, proxy: TlsProxy) -> str:
    return f"rediss://:{urlsplit(server.url).password}@localhost:{proxy.port}/0"


def test_a_whole_run(
    vecmill: Processes, url: str, cert: tuple[Path, Path], corpus: Callable[[int], Path], tiny_model: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    broker = {"VECMILL_BROKER_URL": f"{url}?ssl_ca_certs={quote(str(cert[0]))}"}
    vecmill.start("worker", "--allow-root", tmp_path, **broker)
    done = vecmill.run("embed", corpus(500), "--model", tiny_model, "--to", tmp_path / "table", "--json", **broker)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["embedded"] == 500
    assert_holds_each_once(tmp_path / "table", 500)


def test_no_client_says_a_word_to_a_server_that_nobody_vouches_for(url: str, proxy: TlsProxy) -> None:
    with pytest.raises(BrokerError, match="certificate verify failed"):
        connect(url)
    queue = JobQueue(url)
    with pytest.raises(QueueUnreachable, match="certificate verify failed"):
        queue.publish("run", [0])
    queue.close()
    assert proxy.handshakes == 0


def test_the_name_of_the_server_counts_too(url: str, server: RedisServer, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cert, key = certificate(other, "elsewhere.example")
    proxy = TlsProxy(urlsplit(server.url).port or 0, cert, key)
    place = f"{url.rpartition(':')[0]}:{proxy.port}/0?ssl_ca_certs={quote(str(cert))}"
    with pytest.raises(BrokerError, match="certificate verify failed"):
        connect(place)
    queue = JobQueue(place)
    with pytest.raises(QueueUnreachable, match="certificate verify failed"):
        queue.publish("run", [0])
    queue.close()
    proxy.stop()


@pytest.mark.parametrize("trusted", [True, False])
def test_an_address_that_is_given_to_celery_itself_is_checked_too(
    vecmill: Processes, url: str, proxy: TlsProxy, cert: tuple[Path, Path], trusted: bool
) -> None:
    place = f"{url}?ssl_ca_certs={quote(str(cert[0]))}" if trusted else url
    worker = vecmill.start_command([*CELERY, "-b", place, "worker", "--pool", "threads", "--loglevel", "INFO"])
    if trusted:
        wait_until(lambda: "ready" in worker.log.read_text(), or_ended=worker)
        return
    wait_until(lambda: "certificate verify failed" in worker.log.read_text(), or_ended=worker)
    pinged = subprocess.run(
        [*CELERY, "-b", place, "inspect", "ping", "--timeout", "1"],
        env=vecmill.env, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert pinged.returncode != 0
    assert "certificate verify failed" in pinged.stderr
    assert proxy.handshakes == 0
