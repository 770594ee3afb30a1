"""Requests and their headers, settings, rules and names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.registry import pieces_of, target


@target(
    "edge",
    b"localhost:8000\nhttp://localhost:8000\n10.0.0.1, 127.0.0.1\nhttps\nBearer x\na=b; c=d\nen,zh",
)
def edge(data: bytes) -> None:
    """The headers by which a client is judged, whatever they hold."""
    from agents.runtime import edge as judge
    from agents.runtime.http.safe_headers import completed
    from agents.sentences import choose
    from myagent_site.request_ids import USABLE
    from services.access import bearer_in, is_local

    names = (b"host", b"origin", b"x-forwarded-for", b"x-forwarded-proto", b"authorization")
    lines = data.split(b"\n")
    headers = [*zip(names, lines, strict=False), (b"accept-language", lines[-1])]
    host, origin = (lines[0].decode("latin-1"), lines[1 % len(lines)].decode("latin-1"))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    if judge.host_is_allowed(host, ["site.example"]):
        assert not set(host) & set(" \t;,'\"<>\\/@"), "it is written into a policy"
    is_allowed = judge.origin_is_allowed(origin, host, [], is_open_on_loopback=True)
    if is_allowed and not judge.is_own_origin(origin, host):
        assert "evil" not in origin.lower().partition("//")[2].partition(":")[0] or origin in host
    address = judge.client_address(scope, ["127.0.0.1"])
    judge.counted_as(address, ["10.0.0.0/8"])
    assert judge.scheme_of(scope, ["127.0.0.1"]) in ("http", "https")
    bearer_in(scope)
    is_local(scope)
    choose(host, accept_language=lines[-1].decode("latin-1"))
    USABLE.fullmatch(host)
    completed(headers)


@target(
    "http",
    b"\x05\x10\x20\x30GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x05\x10\x20\x30POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0"
    b"\r\n\r\n",
    b"\x05\x10\x20\x30GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    b"\x81\x82\x00\x00\x00\x00{}\x89\x80\x00\x00\x00\x00\x88\x80\x00\x00\x00\x00",
)
def http(data: bytes) -> None:
    """A connection to our own server, up to its loss."""
    from tests.fuzz.connection import deliver

    deliver(pieces_of(data)[0])


@target("rules", b"^a(b|c)*$\nabab", b"10.0.0.0/8\n10.1.2.3", b"a,b\na")
def rules(data: bytes) -> None:
    """A condition that a rule may have, and what a client says."""
    from agents.directory import Facts
    from services.routing.conditions import InvalidPattern, holds, pattern
    from services.routing.rules import Condition, Operator

    wanted, _, said = data.decode("utf-8", "surrogateescape").partition("\n")
    facts = Facts("", said, "", "", {}, {}, {"name": said})
    with suppress(InvalidPattern, UnicodeEncodeError):
        pattern(wanted, case_sensitive=True)
        condition = Condition("user_agent", Operator.REGEX_MATCH, wanted, case_sensitive=True)
        holds(condition, facts)
    for operator in (Operator.EQUALS, Operator.CONTAINS, Operator.STARTS_WITH, Operator.IN_LIST):
        holds(Condition("metadata.name", operator, wanted, case_sensitive=False), facts)


@target("query", b"since=12&status=running&trace_id=a&rerun_of=b&lang=zh&service=a%2Fb")
def query(data: bytes) -> None:
    """Parameters of an address."""
    from agents.sockets.handshake import language_of, query_of
    from traces.live.selection import Selection, Unusable

    scope = {"type": "websocket", "query_string": data, "headers": []}
    language_of(scope, {})
    with suppress(Unusable):
        selection = Selection.in_query(query_of(scope), None)
        assert selection.since is None or 0 <= selection.since < 2**63


@target("env_file", b"A=1\nB='x y'\nC=${A}\nexport D=\"e\\n\"\n# no\n")
def env_file(data: bytes) -> None:
    from myagent.env_file import EnvFileError, read_env_file

    with TemporaryDirectory() as folder:
        path = Path(folder) / ".env"
        path.write_bytes(data)
        with suppress(EnvFileError):
            for name, value in read_env_file(path, {}).items():
                assert name and "\0" not in value


@target("agent_file", b"echo.py", b"../../etc/passwd", b"a/./b.py")
def agent_file(data: bytes) -> None:
    """A name that somebody registers over the network: none leads out of the folders."""
    from django.test import override_settings

    from services.catalogue import agent_files
    from services.errors import ServiceError

    with TemporaryDirectory() as folder:
        inside = Path(folder).resolve() / "agents"
        inside.mkdir(mode=0o700)
        (inside / "echo.py").touch(mode=0o600)
        (Path(folder) / "outside.py").touch()
        with override_settings(MYAGENT_AGENT_DIRS=[str(inside)]), suppress(ServiceError):
            found = agent_files.found(data.decode("utf-8", "surrogateescape"), is_confined=True)
            assert Path(found).is_relative_to(inside)
