"""The principals of clients: who they are, and how they prove it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.cookies import CookieError, SimpleCookie
from typing import Any

import structlog
from django.conf import settings
from django.db import Error as DatabaseFailure

from agents.principals import NOBODY
from agents.runtime.edge import headers_of, is_own_origin
from agents.runtime.explaining import explain
from agents.serving import ServerProcess
from agents.sockets.handshake import (
    PRINCIPAL,
    SERVER,
    VISITOR,
    WATCH,
    Client,
    Receive,
    Refusal,
    Scope,
    Send,
    query_of,
)
from agents.transients import Problem
from myagent.protocol import CloseCode
from services.access import bearer_in, is_open
from services.tokens.judging import Denial, Proof, Verdict, proof_of_session, proof_of_token
from services.tokens.passes import Passes

logger = structlog.get_logger(__name__)

PROTOCOL_PREFIX = "token."

REFUSALS = {
    Denial.UNKNOWN: Refusal(CloseCode.NOT_AUTHENTICATED, "unauthenticated"),
    Denial.MAY_NOT_USE: Refusal(CloseCode.ORIGIN_NOT_ALLOWED, "forbidden", "forbidden_account"),
}


class OpenAccess:
    """ASGI middleware for open mode: nobody has to authenticate.

    Who is on another machine logs in all the same, to use the REST interface.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._passes = Passes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _watched({**scope, PRINCIPAL: None}, self._passes) as known:
            await self._application(known, receive, send)


class TokenAccess:
    """ASGI middleware for `MYAGENT_AUTH=token`: a socket has to prove who it is.

    That is done once the socket is accepted (see `agents.sockets.handshake.Visitor`): a browser
    shows no earlier refusal. Requests are authenticated by Django and by the REST interface.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._passes = Passes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            async with _watched(scope, self._passes) as known:
                await self._application(known, receive, send)
            return
        visitor = SocketVisitor(scope, self._passes)
        try:
            known = {PRINCIPAL: NOBODY, VISITOR: visitor}
            await self._application({**scope, **known}, receive, send)
        finally:
            await self._passes.leave(visitor)


class LocalOrKnown:
    """ASGI middleware for a socket that shows what everybody does.

    In open mode, who is on another machine has to prove who it is all the same, as over REST.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._known = TokenAccess(application)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_asked = VISITOR in scope or is_open(scope)
        application = self._application if is_asked else self._known
        await application(scope, receive, send)


@asynccontextmanager
async def _watched(scope: Scope, passes: Passes) -> AsyncIterator[Scope]:
    """The scope of a request with its `WATCH`; that of a socket as it is."""
    if scope["type"] != "http":
        yield scope
        return
    watched: list[Client] = []

    def watch(client: Client) -> None:
        proof = _proof_of_request(scope)
        # An open site knows nobody who is on its own machine.
        if proof is not None and client.principal is not None:
            watched.append(client)
            server: ServerProcess = scope[SERVER]
            database = server.conversations.database
            passes.enter(client, proof, lambda later: _apply_to_request(later, client), database)

    try:
        yield {**scope, WATCH: watch}
    finally:
        for client in watched:
            await passes.leave(client)


class SocketVisitor:
    """The client of a socket, see `agents.sockets.handshake.Visitor`."""

    def __init__(self, scope: Scope, passes: Passes) -> None:
        self._passes = passes
        self._login = _login_in(scope)
        self._token = _token_in(scope)
        self._has_header = bearer_in(scope) is not None
        server: ServerProcess = scope[SERVER]
        self._database = server.conversations.database

    @property
    def has_proof(self) -> bool:
        return self._login is not None or self._token is not None

    @property
    def has_token(self) -> bool:
        return self._token is not None

    async def identify(self, client: Client, token: str | None = None) -> Refusal | None:
        verdict: Verdict = Denial.UNKNOWN
        try:
            for proof in self._proofs(token):
                verdict = await self._passes.find(proof, self._database)
                if verdict is not Denial.UNKNOWN:
                    break
        except DatabaseFailure as error:
            logger.warning("storage_away", error=explain(error))
            return Refusal(CloseCode.NO_SERVICE_AVAILABLE, "storage_unavailable", "storage_away")
        if isinstance(verdict, Denial):
            return REFUSALS[verdict]
        client.principal = verdict
        self._passes.enter(self, proof, lambda later: _apply(later, client), self._database)
        return None

    def _proofs(self, said: str | None) -> Iterator[Proof]:
        """A login goes before a token, unless that is in the header."""
        if self._login is not None and not self._has_header:
            yield self._login
        token = proof_of_token(self._token if self._token is not None else said or "")
        if token is not None:
            yield token


def _apply(verdict: Verdict, client: Client) -> None:
    """What a later verdict on its proof means for a client that is in.

    One with fewer rights comes again: it may be attached to what it may not see any more.
    """
    if isinstance(verdict, Denial):
        refusal = REFUSALS[verdict]
        problem = Problem(client.lang, refusal.problem, refusal.sentence)
        client.close(refusal.close_code, problem)
        return
    if client.principal is not None and not verdict.may_all_of(client.principal):
        client.close(CloseCode.GOING_AWAY, Problem(client.lang, "moved"))
    client.principal = verdict


def _apply_to_request(verdict: Verdict, client: Client) -> None:
    """On an open site whoever is logged in may talk to agents: see `MayConverse`."""
    if verdict is Denial.MAY_NOT_USE and settings.MYAGENT_AUTH == "open":
        return
    _apply(verdict, client)


def _proof_of_request(scope: Scope) -> Proof | None:
    """What the REST interface has accepted: the header, else the cookie."""
    token = bearer_in(scope)
    return _login_cookie_in(scope) if token is None else proof_of_token(token)


def _token_in(scope: Scope) -> str | None:
    """The token of the handshake: header, subprotocol, query, in this order."""
    header = bearer_in(scope)
    if header is not None:
        return header
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(PROTOCOL_PREFIX):
            return str(offered.removeprefix(PROTOCOL_PREFIX))
    return next(iter(query_of(scope).get("token", ())), None)


def _login_in(scope: Scope) -> Proof | None:
    """The login of a browser on one of the site's own pages: others must not use it."""
    headers = headers_of(scope)
    host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
    return _login_cookie_in(scope) if is_own_origin(origin, host) else None


def _login_cookie_in(scope: Scope) -> Proof | None:
    try:
        cookies = SimpleCookie(headers_of(scope).get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return None
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return None if found is None else proof_of_session(found.value)
