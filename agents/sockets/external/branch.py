"""One client's sessions at one external service, beside those that it has elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import structlog
from django.conf import settings

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
        self._asked: deque[asyncio.TimerHandle] = deque()
        """When the requests for sessions that have no answer yet expire: the oldest first."""
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
        # It may have been dialling still, or not even that.
        self.is_over = True
        self._is_settled.set()
        self._settle_all()

    # From the client to the service; raises `Refused`.

    async def create(self, text: str) -> None:
        """Passes on a request for a session, for which there is a place."""
        self._guest.ask()
        loop = asyncio.get_running_loop()
        self._asked.append(loop.call_later(settings.MYAGENT_EXTERNAL_ANSWER_S, self._expire))
        try:
            await self.send(text)
        except Refused:
            # If not, the client was told with all that it asked for.
            if self._asked:
                self._answered()
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
            raise Refused("service_unavailable", sentence="external_unreachable")

    def _answered(self) -> None:
        """The oldest request for a session has another answer, or never will."""
        self._guest.settle()
        self._asked.popleft().cancel()

    def _expire(self) -> None:
        logger.warning("external_does_not_answer", service=self._conduit.external.name)
        self._answered()
        self._tell_lost(None)

    def _settle_all(self) -> int:
        """Nothing will be answered any more; how much was not."""
        count = len(self._asked)
        for _ in range(count):
            self._answered()
        return count

    # From the service to the client.

    async def _run(self) -> None:
        is_open = False
        try:
            is_open = await self._conduit.open()
        finally:
            self.is_over = not is_open
            self._is_settled.set()
        if not is_open:
            return
        try:
            with self._client.others.forwarding(self._conduit.external.name):
                code = await self._conduit.run(self._pass_on)
            logger.debug("external_gone", service=self._conduit.external.name, code=code)
            self._lose()
        finally:
            self.is_over = True
            self._settle_all()
            await self._conduit.hang_up()

    async def _pass_on(self, frame: str, said: Heard) -> bool:
        if said.kind == CREATED:
            return await self._begin(frame, said.session_id)
        is_answer = said.is_refusal and bool(self._asked)
        if is_answer:
            self._answered()
        if is_answer or said.is_a_notice or said.session_id in self._guest:
            self._client.outbox.add_frame(frame)
        if said.disowns_a_session and said.session_id in self._guest:
            self._client.port.detach(self._client, str(said.session_id))
        # What the client has left may still be talked about.
        return is_answer or said.is_a_notice or said.session_id is not None

    async def _begin(self, frame: str, session_id: str | None) -> bool:
        """False: nobody asked for it, or it is nameless."""
        if not self._asked:
            return False
        self._asked.popleft().cancel()
        try:
            with self._guest.answered():
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
        for _ in range(self._settle_all()):
            self._tell_lost(None)

    def _tell_lost(self, session_id: str | None) -> None:
        lang = self._client.lang
        sentence = "external_unreachable" if session_id is None else "external_lost"
        self._client.tell(
            Problem(lang, "service_unavailable", session_id=session_id, sentence=sentence)
        )
