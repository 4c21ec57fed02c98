"""Addresses are shown without their passwords, and a server that would lose jobs is refused."""

import ssl
from types import SimpleNamespace

import pytest
from kombu import Connection

from producer import broker
from producer.broker import Unsafe, connect, without_password
from schemas.errors import BrokerError
from schemas.transport import verified


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@host:6379/0", "redis://:***@host:6379/0"),
        ("rediss://user:se%40cret@host/1", "rediss://user:***@host/1"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:pa#ss@host", "redis://:***@host"),
        ("redis://user:pa/s@s?@host/1", "redis://user:***@host/1"),
        ("redis://host/0?password=hunter2&db=1", "redis://host/0?password=***&db=1"),
    ],
)
def test_a_password_is_hidden_and_nothing_else(url, shown):
    assert without_password(url) == shown


def test_an_address_that_is_none_is_refused_without_its_password():
    with pytest.raises(BrokerError) as caught:
        connect("redis://:pa/ss@host:6379/0")
    assert "pa" not in str(caught.value).replace("password", "")


def test_tls_checks_certificate_and_name_unless_the_address_says_otherwise():
    assert Connection(verified("rediss://h/0")).ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    lax = Connection(verified("rediss://h/0?ssl_cert_reqs=none&ssl_check_hostname=false")).ssl
    assert lax == {"ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    assert verified("redis://:p@h/0") == "redis://:p@h/0"


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"redis_version": "6.0.16"}, ["host:6379", "6.0.16", "6.2 or newer"]),
        ({"redis_version": "7.4.1", "maxmemory_policy": "volatile-ttl"}, ["volatile-ttl", "CONFIG SET", "noeviction"]),
    ],
)
def test_a_server_that_would_lose_jobs_is_refused_with_what_to_do(info, said):
    with pytest.raises(Unsafe) as caught:
        broker._check(SimpleNamespace(info=lambda: info), "redis://host:6379")
    assert all(words in str(caught.value) for words in said)


@pytest.mark.parametrize("version", ["6.2.0", "7.2.4", "10.0"])
def test_other_servers_are_taken(version):
    broker._check(SimpleNamespace(info=lambda: {"redis_version": version}), "redis://host:6379")
