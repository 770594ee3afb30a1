"""Who may come in: hosts by name or address, pages by their origin, clients behind proxies."""

from __future__ import annotations

from typing import Any

import pytest

from agents.runtime.edge import (
    client_address,
    counted_as,
    headers_of,
    host_is_allowed,
    is_loopback,
    origin_is_allowed,
    scheme_of,
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("::1", True),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_what_means_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:8080", True),
        ("192.168.1.7:8080", True),
        ("[2001:db8::1]:8080", True),
        ("chat.example.com", True),
        ("CHAT.example.com:443", True),
        ("evil.example", False),
        ("chat.example.com.evil.example", False),
        ("chat.example.com@evil.example", False),
        ("", False),
        ("a b", False),
    ],
)
def test_a_rebound_name_is_no_allowed_host(host: str, expected: bool) -> None:
    assert host_is_allowed(host, ["chat.example.com"]) is expected


def allowed(origin: str | None, host: str = "localhost:8080", *, is_open: bool = True) -> bool:
    listed = ["https://app.example.com", "null-is-not-here"]
    return origin_is_allowed(origin, host, listed, is_open_on_loopback=is_open)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "http://localhost:8080",
        "http://localhost:3000",
        "https://127.0.0.1",
        "http://[::1]:5173",
        "https://app.example.com",
    ],
)
def test_programs_own_pages_and_listed_origins_come_in(origin: str | None) -> None:
    assert allowed(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "https://evil.example",
        "http://localhost.evil.example",
        "https://app.example.com.evil.example",
        "https://app.example.com:444",
        "file://localhost",
        "http://[broken",
        "chrome-extension://localhost",
    ],
)
def test_other_pages_stay_out(origin: str) -> None:
    assert not allowed(origin)


def test_pages_of_other_ports_need_an_open_site_on_loopback() -> None:
    assert not allowed("http://localhost:3000", is_open=False)
    assert not allowed("http://localhost:3000", "192.168.1.7:8080", is_open=False)


@pytest.mark.parametrize(("scheme", "expected"), [("https", True), ("http", False)])
def test_over_tls_the_sites_own_pages_came_over_tls(scheme: str, expected: bool) -> None:
    origin, host = f"{scheme}://chat.example.com", "chat.example.com"
    over_tls = {"is_open_on_loopback": False, "is_over_tls": True}
    assert origin_is_allowed(origin, host, [], **over_tls) is expected
    assert origin_is_allowed(origin, host, [origin], **over_tls)


def test_the_sites_own_page_comes_in_whatever_its_name() -> None:
    assert allowed("https://Chat.Example.com", "chat.example.com", is_open=False)


def scope(client: str | None, forwarded: str | None = None) -> dict[str, Any]:
    headers = [] if forwarded is None else [(b"X-Forwarded-For", forwarded.encode())]
    return {"client": (client, 1) if client else None, "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "trusted", "expected"),
    [
        ("1.2.3.4", None, [], "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", [], "1.2.3.4"),
        ("10.0.0.1", "9.9.9.9", ["10.0.0.0/8"], "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", ["10.0.0.0/8"], "9.9.9.9"),
        ("1.2.3.4", "9.9.9.9", ["10.0.0.0/8"], "1.2.3.4"),
        ("10.0.0.1", "", ["10.0.0.0/8"], "10.0.0.1"),
        (None, None, [], "unknown"),
    ],
)
def test_a_forwarded_address_is_believed_only_of_trusted_proxies(
    client: str | None, forwarded: str | None, trusted: list[str], expected: str
) -> None:
    assert client_address(scope(client, forwarded), trusted) == expected


def test_lines_of_forwarded_addresses_are_one_list() -> None:
    lines = [(b"x-forwarded-for", b"6.6.6.6"), (b"X-Forwarded-For", b"9.9.9.9, 10.0.0.2")]
    address = client_address({"client": ("10.0.0.1", 1), "headers": lines}, ["10.0.0.0/8"])
    assert address == "9.9.9.9", "the client's own line must not hide the proxy's"


@pytest.mark.parametrize(
    ("client", "said", "expected"),
    [
        ("10.0.0.1", ["https"], "https"),
        ("10.0.0.1", ["https, http"], "http"),
        ("10.0.0.1", ["http", "HTTPS"], "https"),
        ("10.0.0.1", ["gopher"], "http"),
        ("10.0.0.1", [], "http"),
        ("1.2.3.4", ["https"], "http"),
        (None, ["https"], "http"),
    ],
)
def test_a_forwarded_scheme_is_believed_only_of_trusted_proxies(
    client: str | None, said: list[str], expected: str
) -> None:
    headers = [(b"X-Forwarded-Proto", line.encode()) for line in said]
    asked = {"client": (client, 1) if client else None, "headers": headers, "scheme": "http"}
    assert scheme_of(asked, ["10.0.0.0/8"]) == expected


def test_of_repeated_headers_the_first_counts() -> None:
    headers = headers_of({"headers": [(b"Host", b"one"), (b"host", b"two")]})
    assert headers == {b"host": b"one"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
        ("unknown", "unknown"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("198.51.100.7", None),
        ("::ffff:198.51.100.7", None),
    ],
)
def test_connections_are_counted_by_address_but_not_those_of_this_machine_and_proxies(
    address: str, expected: str | None
) -> None:
    assert counted_as(address, ["198.51.100.0/24"]) == expected
