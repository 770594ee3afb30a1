"""nginx, started from the files in `deploy/`, before real servers: what it passes on, and how."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from agents.runtime.http.safe_headers import SAFE_HEADERS
from tests.conftest import serve
from tests.databases import fresh_database
from tests.nginx import Nginx
from tests.recording import Recorder
from tests.runners import ROOT, Runner

pytestmark = pytest.mark.processes

AGENT = ROOT / "examples" / "echo_agent.py"
SCRIPT = "/static/js/myagent.js"
ELSEWHERE = "127.0.0.5"
"""Another address of this machine, from which clients come."""


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    for running in serve(Nginx):
        assert isinstance(running, Nginx)
        yield running


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Runner]]:
    """Two, of one service, which tell who comes; they believe nginx."""
    folder = tmp_path_factory.mktemp("site")
    env = {"MYAGENT_TRUSTED_PROXIES": "127.0.0.1"}
    with fresh_database(folder) as url, ExitStack() as runners:
        yield [
            runners.enter_context(Runner(AGENT, url, folder, "--debug", env=env)) for _ in range(2)
        ]


@pytest.fixture
def proxy(nginx: Nginx, servers: list[Runner]) -> Nginx:
    """Before both servers, as the files have it."""
    return configured(nginx, servers)


def configured(nginx: Nginx, servers: list[Runner], **how: str) -> Nginx:
    nginx.pass_to([server.port for server in servers], **how)
    nginx.restart()
    return nginx


class Answer:
    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()


def ask(nginx: Nginx, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Over TLS, as somebody from elsewhere."""
    connection = http.client.HTTPSConnection(
        "localhost", nginx.port, context=nginx.trust, source_address=(ELSEWHERE, 0), timeout=30
    )
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body or None, named)
        return Answer(connection.getresponse())
    finally:
        connection.close()


async def dial(nginx: Nginx, **headers: str) -> Recorder:
    return await Recorder.open(
        nginx.socket_url,
        ssl=nginx.trust,
        local_addr=(ELSEWHERE, 0),
        additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


async def test_pages_files_and_sockets_come_through_it(proxy: Nginx) -> None:
    page = ask(proxy, "/")
    assert page.status == 200
    assert b"<html" in page.body
    assert ask(proxy, SCRIPT).body == (ROOT / SCRIPT[1:]).read_bytes()
    async with await dial(proxy) as client:
        answer = await client.ask(await client.create_session(), "hello")
    assert answer["event"] == "agent.final_answer"


def test_whoever_comes_without_tls_is_sent_to_the_same_address_with_it(proxy: Nginx) -> None:
    connection = http.client.HTTPConnection("localhost", proxy.plain_port, timeout=30)
    connection.request("GET", "/services/?a=b")
    answer = connection.getresponse()
    assert answer.status == 301
    assert answer.headers["Location"] == "https://localhost/services/?a=b"
    connection.close()


def test_a_client_that_names_no_host_is_sent_nowhere(proxy: Nginx) -> None:
    with socket.create_connection(("localhost", proxy.plain_port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.split()[1] == b"400"
    assert b"Location" not in answer


def test_the_proof_for_a_certificate_is_served_without_tls(proxy: Nginx) -> None:
    folder = proxy.folder / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("proof", "utf-8")
    connection = http.client.HTTPConnection("localhost", proxy.plain_port, timeout=30)
    connection.request("GET", "/.well-known/acme-challenge/token")
    assert connection.getresponse().read() == b"proof"
    connection.close()


def test_cookies_are_only_for_tls(proxy: Nginx) -> None:
    assert "Secure" in ask(proxy, "/?lang=en").headers["Set-Cookie"]


def test_files_are_compressed_and_asked_for_once(proxy: Nginx) -> None:
    first = ask(proxy, SCRIPT, Accept_Encoding="gzip")
    assert first.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(first.body) == (ROOT / SCRIPT[1:]).read_bytes()
    assert "ETag" not in first.headers
    again = {"Accept_Encoding": "gzip", "If_Modified_Since": first.headers["Last-Modified"]}
    assert ask(proxy, SCRIPT, **again).status == 304


async def test_the_site_learns_the_clients_address_and_none_that_it_invents(
    proxy: Nginx, servers: list[Runner]
) -> None:
    seen = [len(server.log) for server in servers]
    invented = "192.0.2.66"
    async with await dial(proxy, X_Forwarded_For=invented) as client:
        await client.create_session()
    log = "".join(
        line for server, count in zip(servers, seen, strict=True) for line in server.log[count:]
    )
    assert ELSEWHERE in log
    assert invented not in log


def test_what_is_too_large_gets_the_sentence_of_the_site(proxy: Nginx) -> None:
    large = ask(proxy, "/", "POST", b"x" * (1024 * 1024 + 1), Content_Type="application/json")
    assert (large.status, json.loads(large.body)["code"]) == (413, "too_large")
    assert ask(proxy, "/?" + "x" * 20_000).status == 414
    assert ask(proxy, "/", Long="x" * 20_000).status == 431


def test_a_body_that_trickles_costs_the_servers_nothing(nginx: Nginx) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        nginx.pass_to([server.getsockname()[1]])
        nginx.restart()
        head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"
        with tls(nginx) as slow, tls(nginx) as other:
            slow.sendall(head.encode() + b"x")
            other.sendall(b"GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert first_line(server) == b"GET /other HTTP/1.1"
            slow.sendall(b"yz")
            assert first_line(server) == b"POST / HTTP/1.1"


def tls(nginx: Nginx) -> socket.socket:
    plain = socket.create_connection(("localhost", nginx.port), timeout=30)
    return nginx.trust.wrap_socket(plain, server_hostname="localhost")


def first_line(server: socket.socket) -> bytes:
    """Of the next request that comes; its client is hung up on."""
    connection, _ = server.accept()
    with connection, connection.makefile("rb") as lines:
        return lines.readline().rstrip()


async def test_an_address_has_a_number_of_connections(nginx: Nginx, servers: list[Runner]) -> None:
    nginx.changes["limit_conn connections 2000;"] = "limit_conn connections 1;"
    try:
        proxy = configured(nginx, servers)
        async with await dial(proxy):
            assert ask(proxy, "/health").status == 429
    finally:
        nginx.changes.clear()


@pytest.mark.parametrize(
    "balancing",
    ["hash $binary_remote_addr consistent;", "hash $cookie_myagent_session consistent;"],
)
async def test_clients_stick_to_a_server_where_they_are_to(
    nginx: Nginx, servers: list[Runner], balancing: str
) -> None:
    assert balancing in (ROOT / "deploy/nginx/servers.conf").read_text("utf-8")
    proxy = configured(nginx, servers, balancing=balancing)
    assert len(await servers_of_clients(proxy, servers)) == 1


async def test_clients_are_spread_where_they_need_not_stick(
    proxy: Nginx, servers: list[Runner]
) -> None:
    assert len(await servers_of_clients(proxy, servers)) == 2


def arrivals(server: Runner) -> int:
    return sum('"connected"' in line for line in list(server.log))


async def servers_of_clients(proxy: Nginx, servers: list[Runner]) -> set[int]:
    """The ports of the servers to which ten clients come one after the other."""
    before = [arrivals(server) for server in servers]
    clients = [await dial(proxy, Cookie="myagent_session=one") for _ in range(10)]
    for client in clients:
        await client.create_session()
        await client.socket.close()
    after = [arrivals(server) for server in servers]
    return {
        server.port for server, old, new in zip(servers, before, after, strict=True) if new > old
    }


def test_a_server_that_is_not_there_costs_its_clients_nothing(
    nginx: Nginx, servers: list[Runner]
) -> None:
    nginx.pass_to([9, servers[0].port])
    nginx.restart()
    assert {ask(nginx, "/health").status for _ in range(10)} == {200}


def test_what_the_documents_show_for_an_nginx_with_other_sites_is_valid(nginx: Nginx) -> None:
    page = (ROOT / "docs/deploying.md").read_text("utf-8")
    [block] = re.findall(r"^```nginx\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    of_http, of_server = block.split("# in server { … }")
    folder = nginx.folder / "other"
    shutil.copytree(nginx.folder / "nginx", folder / "nginx", dirs_exist_ok=True)
    text = f"events {{}} http {{ {of_http}\n server {{ listen 127.0.0.1:9; {of_server} }} }}"
    (folder / "nginx.conf").write_text(text, "utf-8")
    command = ["nginx", "-t", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    command += ["-g", f"pid {folder}/pid;"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 0, found.stderr


SAFE = sorted(name.decode() for name, _ in SAFE_HEADERS)


def assert_safe(answer: http.client.HTTPResponse | Answer) -> None:
    names = [name.lower() for name in answer.headers.keys()]  # noqa: SIM118 - a name may come twice
    assert [name for name in sorted(names) if name in SAFE] == SAFE
    assert answer.headers["Server"] == "nginx", "and no version"


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/nothing", 404), (SCRIPT, 200), ("/?" + "x" * 20_000, 414)]
)
def test_what_the_site_says_to_browsers_comes_through_once(
    proxy: Nginx, path: str, status: int
) -> None:
    answer = ask(proxy, path)
    assert answer.status == status
    assert_safe(answer)


def test_a_handshake_that_the_site_refuses_is_as_safe(proxy: Nginx) -> None:
    answer = ask(
        proxy,
        "/",
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="99",
        Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAA==",
    )
    assert answer.status == 400
    assert_safe(answer)


def test_nginxs_own_answers_are_as_safe_and_name_no_version(nginx: Nginx, proxy: Nginx) -> None:
    large = ask(proxy, "/", Content_Length=str(3 * 1024 * 1024))
    assert large.status == 413
    assert_safe(large)
    connection = http.client.HTTPConnection("localhost", proxy.plain_port, timeout=30)
    connection.request("GET", "/")
    redirect = connection.getresponse()
    assert redirect.status == 301
    assert_safe(redirect)
    connection.close()
    nginx.pass_to([9])
    nginx.restart()
    nobody = ask(nginx, "/")
    assert nobody.status == 502
    assert_safe(nobody)
    for name, value in SAFE_HEADERS:
        assert nobody.headers[name.decode()] == value.decode()
    assert b"nginx/" not in nobody.body
