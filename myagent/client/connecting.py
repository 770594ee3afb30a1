"""`connect`, the function that creates a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from myagent.client.client import Client
from myagent.client.connection import Address
from myagent.client.errors import InvalidRequest
from myagent.sentence import Sentence

GIVE_UP_AFTER_S = 120.0


def connect(
    url: str,
    *,
    session_id: str | None = None,
    last_seq: int = 0,
    lang: str | None = None,
    client_info: Mapping[str, Any] | None = None,
    service: str | None = None,
    tags: Sequence[str] = (),
    token: str | None = None,
    give_up_after_s: float = GIVE_UP_AFTER_S,
) -> Client:
    """A client for `async with`: a new session, or `session_id` from after `last_seq`.

    `url` is like `ws://localhost:8080/`. `lang` is the language of the service's sentences.
    `client_info`, `service` and `tags` are sent with a new session. `token` is sent as a bearer
    token. After a connection is lost, reconnecting is tried for `give_up_after_s` seconds, with
    growing waits.

    Raises `InvalidRequest` at once; on entering, `ConnectionFailed`, `NotAllowed`, `NoSuchService`,
    `UnknownSession` or `Refused`.
    """
    new: dict[str, Any] = {"client": dict(client_info or {}), "tags": list(tags)}
    new |= {name: value for name, value in (("lang", lang), ("service", service)) if value}
    address = Address(_with_lang(url, lang), token, give_up_after_s)
    return Client(address, session_id, last_seq, new)


def _with_lang(url: str, lang: str | None) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # The port is parsed, and can be wrong, only when it is accessed.
    except ValueError as error:
        raise InvalidRequest(
            Sentence("{url} is not an address: {reason}.", url=repr(url), reason=str(error))
        ) from error
    if not lang:
        return url
    query = "&".join(filter(None, (parts.query, urlencode({"lang": lang}))))
    return urlunsplit(parts._replace(query=query))
