"""One client's sessions at one external service, beside those that it has elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from agents.directory import Listed
from agents.ports import Refused
from agents.sockets.events import EventsConsumer
from agents.sockets.external.conduit import Conduit
from agents.sockets.external.frames import CREATED, Heard
from agents.sockets.external.guest import Guest
from agents.transients import Problem

logger = structlog.get_logger(__name__)


class Branch:
    """The sessions share a socket to the service, which is dialled at once; `end` at the end.

    The client hears it if that socket ends, for each session; its own stays open.
    """

    def __init__(self, client: EventsConsumer, external: Listed, asked: Counter[str]) -> None:
        self.is_over = False
        self._client = client
        self._guest = Guest(client, external, asked)
        self._conduit = Conduit(external, client.outbox, client.lang)
        self._is_settled = asyncio.Event()
        """Whether it is known that the service can be reached, or that it can't."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def beat(self) -> None:
        """Leaves a service that was stopped, removed, or moved."""
        service = self._conduit.external.name
        is_open = self._is_settled.is_set() and not self.is_over
        if is_open and not self._conduit.is_expected(self._client.host.external(service)):
            self._conduit.cut()

    async def end(self) -> None:
        """Hangs up. May be called twice."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # From the client to the service; raises `Refused`.

    async def create(self, text: str) -> None:
        """Passes on a request for a session, for which there is a place."""
        self._guest.ask()
        try:
            await self.send(text)
        except Refused:
            # If not, the client was told with all that it asked for.
            if self._guest.waits:
                self._guest.settle()
                raise

    async def resume(self, session_id: str, text: str) -> None:
        """Passes on a request for a session that the service has begun before."""
        await self._is_settled.wait()
        self._guest.attach(session_id)
        try:
            await self.send(text)
        except Refused:
            self._client.port.detach(self._client, session_id)
            raise

    async def send(self, text: str) -> None:
        await self._is_settled.wait()
        if self.is_over or not await self._conduit.send(text):
            raise Refused("service_unavailable")

    # From the service to the client.

    async def _run(self) -> None:
        try:
            if not await self._conduit.open():
                self.is_over = True
                return
        finally:
            self._is_settled.set()
        try:
            with self._client.others.forwarding(self._conduit.external.name):
                code = await self._conduit.run(self._pass_on)
            logger.debug("external_gone", service=self._conduit.external.name, code=code)
            self._lose()
        finally:
            self.is_over = True
            self._guest.settle_all()
            await self._conduit.hang_up()

    async def _pass_on(self, frame: str, said: Heard) -> bool:
        if said.kind == CREATED:
            return await self._begin(frame, said.session_id)
        if said.is_refusal and self._guest.waits:
            self._guest.settle()
        if said.is_about_the_socket or said.session_id in self._guest:
            self._client.outbox.add_frame(frame)
        if said.disowns_a_session and said.session_id in self._guest:
            self._client.port.detach(self._client, str(said.session_id))
        # What the client has left may still be talked about.
        return said.is_about_the_socket or said.session_id is not None

    async def _begin(self, frame: str, session_id: str | None) -> bool:
        """False: nobody asked for it, or it is nameless."""
        if not self._guest.waits:
            return False
        self._guest.settle()
        try:
            if session_id is not None and await self._guest.begin(session_id):
                self._client.outbox.add_frame(frame)
                return True
        except Refused as error:
            self._client.say_refused(error.code, **error.words)
            return True
        logger.warning("external_begins_anothers", service=self._conduit.external.name)
        self._tell_lost(None)
        return False

    def _lose(self) -> None:
        for session_id in self._guest.sessions:
            self._client.port.detach(self._client, session_id)
            self._tell_lost(session_id)
        for _ in range(self._guest.settle_all()):
            self._tell_lost(None)

    def _tell_lost(self, session_id: str | None) -> None:
        lang = self._client.lang
        self._client.tell(Problem(lang, "service_unavailable", session_id=session_id))
