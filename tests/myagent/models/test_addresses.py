from __future__ import annotations

import pytest

from myagent.models.addresses import address_of, host_of, is_socks, named, proxy_for

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
    assert named("http://[broken/v1") == host_of("http://[broken/v1") == ""


def test_the_address_is_openais_own_unless_it_is_set(environment) -> None:
    assert address_of(None) == "https://api.openai.com/v1"
    environment.setenv("OPENAI_BASE_URL", " http://a.test/v1/ ")
    assert address_of(None) == "http://a.test/v1"
    assert address_of("http://b.test/v1") == "http://b.test/v1"
