from __future__ import annotations

import pytest

from myagent.models.addresses import (
    address_of,
    has_host,
    host_of,
    is_socks,
    named,
    proxy_for,
    secrets_in,
)
from myagent.models.masking import masked

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*VARIABLES, *(name.upper() for name in VARIABLES), "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("proxies", "address", "proxy"),
    [
        ({}, "http://a.test/v1", None),
        ({"ALL_PROXY": "socks5://p:1"}, "http://a.test/v1", "socks5://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://a.test/v1", None),
        ({"HTTPS_PROXY": "p:1"}, "https://a.test/v1", "http://p:1"),
        ({"ALL_PROXY": "socks://p:1", "NO_PROXY": "a.test"}, "http://a.test/v1", None),
        ({"ALL_PROXY": "socks://p:1", "no_proxy": "127.0.0.1"}, "http://127.0.0.1:8/v1", None),
        ({"ALL_PROXY": "socks://p:1", "NO_PROXY": "b.test"}, "http://a.test/v1", "socks://p:1"),
    ],
)
def test_the_proxy_is_the_environments(environment, proxies, address, proxy) -> None:
    for name, value in proxies.items():
        environment.setenv(name, value)
    assert proxy_for(address) == proxy


def test_socks_is_told_from_other_proxies() -> None:
    assert [is_socks(f"{kind}://p:1") for kind in ("socks", "socks5", "socks5h", "http")] == [
        True, True, True, False,
    ]  # fmt: skip


def test_nothing_secret_of_an_address_is_told() -> None:
    address = "https://me:secret@a.test:8/v1?key=secret#secret"
    assert named(address) == "https://a.test:8/v1"
    assert host_of(address) == "a.test:8"


@pytest.mark.parametrize(
    ("address", "told", "host"),
    [
        ("me:secret@a.test/v1", "a.test/v1", "a.test"),
        ("a.test:9/v1?key=secret", "a.test:9/v1", "a.test:9"),
        ("http://me:secret/x@a.test/v1", "http://a.test/v1", "a.test"),
        ("http://me:s#secret@a.test/v1", "http://a.test/v1", "a.test"),
        ("http://me:s@secret@a.test/v1", "http://a.test/v1", "a.test"),
        ("http://me:12/secret@a.test/v1", "http://me:…/…", "me:…"),
        ("http://a.test/v1?me=a@b.test", "http://a.test/v1", "a.test"),
        ("http://[::1]:8/v1", "http://[::1]:8/v1", "[::1]:8"),
        ("http://[broken/v1", "http://[broken/v1", "[broken"),
    ],
)
def test_an_address_is_told_as_it_was_meant(address, told, host) -> None:
    assert named(address) == told
    assert host_of(address) == host
    if "secret" in address:
        assert any("secret" in each for each in secrets_in(address))


def test_what_may_be_the_begin_of_a_password_is_masked_with_its_place() -> None:
    secrets = secrets_in("http://me:12/secret@a.test/v1")
    assert masked("Cannot connect to host me:12 ssl:default", secrets) == (
        "Cannot connect to host … ssl:default"
    )
    assert secrets_in("http://[::1]:8/v1") == frozenset()


@pytest.mark.parametrize(
    ("address", "is_valid"),
    [
        ("http://a.test/v1", True),
        ("http://me:pw@a.test:8/v1", True),
        ("http://[::1]:8/v1", True),
        ("http://a_b:8/v1", True),
        ("http:///v1", False),
        ("http://a.test:port/v1", False),
        ("http://[broken/v1", False),
        ("http://me:p/w@a.test/v1", False),
    ],
)
def test_an_address_without_a_host_is_told_from_a_valid_one(address, is_valid) -> None:
    assert has_host(address) is is_valid


def test_the_address_is_openais_own_unless_it_is_set(environment) -> None:
    assert address_of(None) == "https://api.openai.com/v1"
    environment.setenv("OPENAI_BASE_URL", " http://a.test/v1/ ")
    assert address_of(None) == "http://a.test/v1"
    assert address_of("http://b.test/v1") == "http://b.test/v1"
