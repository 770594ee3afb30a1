"""What the frames of an external service, and of its clients, say about where they belong. No I/O.

No more of them is read than that: they are passed on with all that they hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from myagent import exact_json

CREATED = "agent.session_created"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of a service. `session_id`: the session that it is about, if it names one; `code`:
    that of an error.
    """

    kind: str
    session_id: str | None
    code: str = ""

    @property
    def is_about_the_socket(self) -> bool:
        """Whether it needs no session."""
        return self.session_id is None and self.kind.startswith("system.")

    @property
    def is_refusal(self) -> bool:
        """Whether a session that was asked for does not begin."""
        return self.session_id is None and self.kind == "system.error"

    @property
    def disowns_a_session(self) -> bool:
        """Whether the service does not know the session, or not any more."""
        return self.kind == "system.error" and self.code == "unknown_session"


def heard(frame: str | bytes) -> Heard | None:
    """The event in a frame; None if there is none in it."""
    if isinstance(frame, bytes):
        return None
    try:
        data: Any = orjson.loads(frame)
    except ValueError:
        return None
    kind = data.get("event") if isinstance(data, dict) else None
    if not isinstance(kind, str):
        return None
    given = data.get("metadata")
    metadata = given if isinstance(given, dict) else {}
    session_id = data.get("session_id")
    if session_id is None:
        # Errors and notices name it there.
        session_id = metadata.get("session_id")
    named = session_id if isinstance(session_id, str) else None
    return Heard(kind, named, str(metadata.get("code", "")))


def unambiguous(text: str) -> str:
    """A client's frame that names one session, whatever reads it; with every digit of its numbers.

    Of names that are given twice programs read the first or the last, and some read them in any
    case: what was checked here must be what the service reads.
    """
    data: dict[str, Any] = exact_json.loads(text)
    kept = {
        name: value
        for name, value in data.items()
        if name == "session_id" or name.casefold() != "session_id"
    }
    return exact_json.dumps(kept)


def without_address(text: str) -> str:
    """A client's `user.create_session` without the name by which this site knows the service.

    All else stays as it was sent, with every digit of its numbers.
    """
    data: dict[str, Any] = exact_json.loads(text)
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or "service" not in metadata:
        return text
    kept = {name: value for name, value in metadata.items() if name != "service"}
    return exact_json.dumps({**data, "metadata": kept})
