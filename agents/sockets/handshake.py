"""The handshake: who the client is, which service it addresses, and why it is refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

from django.conf import settings

from agents.directory import Facts, Listed
from agents.principals import Principal
from agents.runtime import file_pages
from agents.runtime.base_path import path_within
from agents.runtime.edge import Headers, client_address, counted_as, headers_of
from agents.sentences import choose
from agents.transients import Problem
from myagent.protocol import ErrorCode

if TYPE_CHECKING:
    from agents.ports import SessionPort
    from agents.runtime.database import DatabaseThreads
    from agents.sessions.elsewhere import Elsewhere
    from agents.sockets.connections import Connections

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SERVER = "myagent.server"
"""In a scope: the `ServerProcess` that serves it."""

PRINCIPAL = "principal"
"""In a scope: the client's principal, see `agents.principals`."""

VISITOR = "myagent.visitor"
"""In a scope: a `Visitor`, if clients have to prove who they are."""

WATCH = "myagent.watch"
"""In the scope of a request: called with a `Client` whose answer lasts, it has that client closed
when its proof expires."""

REFUSAL = "myagent.refusal"
"""In a scope: a `Refusal`, if the site has decided to refuse the client."""

OWN_DOOR = "myagent.service"
"""In a scope: the service to whose own port the client connected."""

QUERY = "myagent.query"
"""In a scope: the query parameters, once they have been read."""

SECRET_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"sec-websocket-protocol"}
)
SECRET_QUERY = frozenset({"token", file_pages.PARAMETER})
"""Headers and parameters by which clients prove who they are."""

SUBPROTOCOL = "myagent.v1"
"""The subprotocol that is chosen if a client offers any: browsers require an answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client is refused; `sentence` and `detail` as in `Problem`.

    The refusal is sent on an accepted socket, which is then closed: browsers show no other refusal.
    """

    close_code: int
    problem: ErrorCode
    sentence: str = ""
    detail: str = ""


class Client(Protocol):
    """A socket, as what identifies it sees it."""

    lang: str
    principal: Principal | None

    def close(self, code: int, problem: Problem) -> None: ...


class Visitor(Protocol):
    """A client that has not proved yet who it is. Nothing is done for it before."""

    @property
    def has_proof(self) -> bool:
        """Whether its handshake contains something by which it may prove that."""

    @property
    def has_token(self) -> bool:
        """Whether that is a token. Anything else may have been sent by a browser on its own."""

    async def identify(self, client: Client, token: str | None = None) -> Refusal | None:
        """Sets the client's principal, or returns why it is refused.

        `token`: what it said after the handshake. The client is closed when its proof expires.
        """


class Host(Protocol):
    """The server, as a socket sees it. `service`: the only one that it has; '' if it has many."""

    service: str

    @property
    def database(self) -> DatabaseThreads: ...

    @property
    def port(self) -> SessionPort: ...

    @property
    def elsewhere(self) -> Elsewhere: ...

    @property
    def connections(self) -> Connections: ...

    async def admit(self, service: str | None) -> Refusal | None:
        """None if it serves, else why not. `service`: the addressed service; None for any.

        The first client starts the server.
        """

    def external(self, service: str | None) -> Listed | None:
        """The external service of that name; None if there is none."""


def language_of(scope: Scope, headers: Headers) -> str:
    """The client's language: `?lang=`, else what its browser accepts."""
    accepted = headers.get(b"accept-language", b"").decode("latin-1")
    return choose(*query_of(scope).get("lang", ()), accept_language=accepted)


def query_of(scope: Scope) -> dict[str, list[str]]:
    """The query parameters; read once, and kept in the scope."""
    found: dict[str, list[str]] | None = scope.get(QUERY)
    if found is None:
        found = scope[QUERY] = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return found


def services_named(scope: Scope) -> set[str]:
    """The service addressed by own port, path or `?service=`; two different ones are refused."""
    in_path = scope.get("url_route", {}).get("kwargs", {}).get("service")
    in_query = next(iter(query_of(scope).get("service", ())), None)
    return {str(name) for name in (scope.get(OWN_DOOR), in_path, in_query) if name is not None}


def address_of(scope: Scope) -> str:
    """The client's address."""
    return client_address(scope, settings.MYAGENT_TRUSTED_PROXIES)


def client_counted_as(scope: Scope, principal: Principal | None) -> str:
    """See `agents.ports.Asker.counted_as`."""
    if principal is not None:
        return principal.key
    proxies = settings.MYAGENT_TRUSTED_PROXIES
    return counted_as(client_address(scope, proxies), proxies) or ""


def facts_of(scope: Scope, principal: Principal | None, metadata: Mapping[str, Any]) -> Facts:
    """What is known of the client. `metadata`: what it sent to begin a session.

    Without what it proves itself by: where it ends up must not tell anybody about that.
    """
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers_of(scope).items()
        if name not in SECRET_HEADERS
    }
    return Facts(
        client_ip=address_of(scope),
        user_agent=headers.get("user-agent", ""),
        path=path_within(scope),
        user="" if principal is None else principal.name,
        headers=headers,
        query={name: said for name, said in query_of(scope).items() if name not in SECRET_QUERY},
        metadata=metadata,
    )


def subprotocol_for(scope: Scope) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in scope.get("subprotocols", ()) else None
