"""Sockets of clients that address an external service: passed on as a whole.

Nothing of it is in the log. The client's limits hold as for any other; what either side does not
read, the other can't send.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext

import structlog

from agents.directory import Listed
from agents.ports import Refused
from agents.runtime.edge import headers_of
from agents.sockets.base import SocketConsumer
from agents.sockets.events import EventsConsumer
from agents.sockets.external import upstream
from agents.sockets.external.conduit import Conduit
from agents.sockets.external.frames import CREATED, Heard, without_address
from agents.sockets.external.guest import Guest, check_room
from agents.transients import Connected, Problem
from myagent import protocol
from myagent.protocol import CloseCode, CreateSession, ProtocolError
from myagent.protocol.client_events import read_object

logger = structlog.get_logger(__name__)

PRIVATE_CODES = range(4000, 5000)
"""Close codes that a service may choose, and that its client sees."""


class ForwardedSocket(EventsConsumer):
    """A client's socket, and the one to the external service that is opened for it.

    They end together.
    """

    why_not_forwarded = ""

    def __init__(self, external: Listed) -> None:
        self._external = external
        self._conduit: Conduit
        self._guest: Guest
        self._asked: Counter[str] = Counter()
        self._pumping: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serves the client until either side closes, or the service is stopped."""
        self._conduit = Conduit(self._external, self.outbox, self.lang)
        self._guest = Guest(self, self._external, self._asked)
        if (
            not self._external.is_expected
            or upstream.is_forwarded(headers_of(self.scope))
            or not await self._conduit.open()
        ):
            sentence = "external_unreachable" if self._external.is_expected else "no_worker"
            await self.say_goodbye(
                CloseCode.NO_SERVICE_AVAILABLE,
                Problem(self.lang, "service_unavailable", sentence=sentence),
            )
            return
        try:
            with self.others.forwarding(self._external.name):
                await super().run()
        finally:
            await self._let_go()

    def greet(self) -> None:
        self.tell(Connected(self.lang, self.connection_id, self.others.name))
        # From now on: what the service says comes after the greeting.
        self._pumping = asyncio.get_running_loop().create_task(self._pump())

    def beat(self, now: float) -> None:
        SocketConsumer.beat(self, now)
        if not self._conduit.is_expected(self.host.external(self.service)):
            self._lose_service()

    # From the client to the service.

    async def take(self, text: str) -> None:
        data = read_object(text)
        is_new = data.get("event") == "user.create_session"
        asked = protocol.parse(text) if is_new else None
        self._strictness.note_usable()
        named = data.get("session_id")
        if not isinstance(named, str | None):
            raise ProtocolError("invalid_event", "session_id")
        if isinstance(asked, CreateSession):
            await self.attempt(self._create(asked, text), None)
        else:
            await self.attempt(self._forward(str(data.get("event")), named, text), named)

    async def _create(self, event: CreateSession, text: str) -> None:
        check_room(self, self._asked)
        if await self.port.create(self, event) is None:
            # It has become a service of another kind.
            raise Refused("service_unavailable")
        self._guest.ask()
        await self._send(without_address(text))

    async def _forward(self, kind: str, session_id: str | None, text: str) -> None:
        if session_id is not None and session_id not in self._guest:
            await self.host.elsewhere.check(session_id, self._external.name, self.principal)
            self._guest.attach(session_id)
            await self.host.elsewhere.touch(session_id)
        if kind == "user.message":
            session = self.attached.get(session_id or "")
            await self.host.elsewhere.count_message(self, self._external.name, session)
        await self._send(text)
        if kind == "user.detach":
            self.port.detach(self, session_id)

    async def _send(self, text: str) -> None:
        if not await self._conduit.send(text):
            # What reads the service closes the client's socket.
            await self._pumped()

    # From the service to the client.

    async def _pump(self) -> None:
        code = await self._conduit.run(self._pass_on)
        # As the service closed its own socket.
        if code is not None and (code == CloseCode.NORMAL or code in PRIVATE_CODES):
            self.close(code, None)
        else:
            logger.warning("external_gone", service=self._external.name, code=code)
            self._lose_service()

    async def _pass_on(self, frame: str, said: Heard) -> bool:
        if said.kind == CREATED and said.session_id is not None and self._may_begin:
            try:
                await self._begin(said.session_id)
            except Refused as error:
                self.say_refused(error.code, **error.words)
                return True
        elif said.is_refusal and self._guest.waits:
            self._guest.settle()
        if self._may_hear(said):
            self.outbox.add_frame(frame)
        if said.disowns_a_session and said.session_id in self._guest:
            self.port.detach(self, str(said.session_id))
        return True

    @property
    def _may_begin(self) -> bool:
        """A service may begin sessions unasked, where nobody is known whose they could be."""
        return self._guest.waits or self.principal is None

    def _may_hear(self, said: Heard) -> bool:
        """Whether it is about a session of the client, or about none."""
        return self.principal is None or said.session_id is None or said.session_id in self._guest

    async def _begin(self, session_id: str) -> None:
        with self._guest.answered() if self._guest.waits else nullcontext():
            await self._guest.begin(session_id, is_alone=True)

    def _lose_service(self) -> None:
        problem = Problem(self.lang, "service_unavailable", sentence="external_lost")
        self.close(CloseCode.NO_SERVICE_AVAILABLE, problem)

    # The end.

    async def _pumped(self) -> None:
        if self._pumping is not None:
            await asyncio.wait([self._pumping])

    async def _let_go(self) -> None:
        self._guest.settle_all()
        if self._pumping is not None:
            self._pumping.cancel()
            await asyncio.gather(self._pumping, return_exceptions=True)
        await self._conduit.hang_up()
