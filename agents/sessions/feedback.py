"""What people say an answer is worth: of each of them, the last word on it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import orjson

from agents.log import kinds
from agents.log.entry import Logged, RunRef
from agents.log.feedback import run_to_rate
from agents.log.journal import JournalStopped, Outcome
from agents.log.session_log import SessionLog
from agents.log.writes import OwnershipLost
from agents.ports import Asker, PassOn, Refused
from agents.principals import key_of
from agents.runtime.database import DatabaseThreads
from agents.sessions.refusals import code_of
from agents.transients import Problem, Repeated
from myagent.protocol import Feedback

Key = tuple[str, str]
"""A message's id, and the key of the principal who rates its answer."""


class Ratings:
    """Its methods belong to the event loop.

    `check` is given a message's id, and raises `Refused` if nothing can be written.
    """

    def __init__(
        self,
        log: SessionLog,
        database: DatabaseThreads,
        check: Callable[[str | None], None],
        pass_on: PassOn,
    ) -> None:
        self._log = log
        self._database = database
        self._check = check
        self._pass_on = pass_on
        self._on_their_way: Counter[Key] = Counter()

    async def take(self, asker: Asker, event: Feedback) -> None:
        """Takes feedback on an answer; its echo says that it is kept. Raises `Refused`.

        What was the asker's last word already is answered with that entry.
        """
        message_id, principal = event.metadata.message_id, key_of(asker.principal)
        self._check(message_id)
        session_id = self._log.session_id
        # What is being written may come after what is read.
        is_in_doubt = self._on_their_way[message_id, principal] > 0
        found = await self._database.run(run_to_rate, session_id, message_id, principal)
        if found is None:
            raise Refused("unknown_message", message_id=message_id)
        if not found.has_ended:
            raise Refused("busy", message_id=message_id, sentence="not_ended")
        if not is_in_doubt and found.feedback is not None and says(found.feedback, event):
            asker.tell(Repeated(found.feedback))
            return
        self._check(message_id)
        self._write(asker, event, RunRef(found.run_id, message_id))

    def _write(self, asker: Asker, event: Feedback, run: RunRef) -> None:
        principal = key_of(asker.principal)
        key = (run.message_id, principal)
        entry = kinds.user_feedback(_comment_of(event), run, event.metadata.score, principal)
        self._on_their_way[key] += 1
        done = partial(self._on_written, asker, event, key)
        self._log.write([entry], done, answers=asker.inbox_row)

    def _on_written(self, asker: Asker, event: Feedback, key: Key, outcome: Outcome) -> None:
        self._on_their_way[key] -= 1
        if not self._on_their_way[key]:
            del self._on_their_way[key]
        match outcome:
            case OwnershipLost():
                self._pass_on(asker, event)
            case JournalStopped():
                """The log tells the next owner, and the client, what became of it."""
            case Exception():
                asker.tell(
                    Problem(
                        asker.lang,
                        code_of(outcome),
                        session_id=self._log.session_id,
                        message_id=event.metadata.message_id,
                    )
                )


def _comment_of(event: Feedback) -> str | None:
    """Feedback that is taken back has none, and a blank one says nothing."""
    comment = (event.content or "").strip()
    return comment if comment and event.metadata.score is not None else None


def says(logged: Logged, event: Feedback) -> bool:
    """Whether an entry with feedback says the same as an event."""
    data = orjson.loads(logged.payload)
    said = (data["metadata"]["score"], data["content"])
    return said == (event.metadata.score, _comment_of(event))
