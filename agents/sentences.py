"""What the server says to people, in their language."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext_noop
from django.utils.translation.trans_real import parse_accept_lang_header

from myagent.sentence import Said, fill

SENTENCES = {
    "connected": gettext_noop("Connected to {server}."),
    "session_created": gettext_noop("Conversation with {agent} started."),
    "session_resumed": gettext_noop("Conversation resumed."),
    "session_end": gettext_noop("The conversation has ended."),
    "thinking": gettext_noop("Analysing your question…"),
    "tool_call": gettext_noop("Using {tool}…"),
    "user_confirm": gettext_noop("Run {tool} with these arguments?"),
    "user_confirm_plain": gettext_noop("Run {tool}?"),
    "interrupted": gettext_noop("The answer was stopped."),
    "timeout": gettext_noop("The answer took longer than {timeout_s} seconds and was stopped."),
    "watching": gettext_noop("Nothing new; still watching."),
    "behind": gettext_noop(
        "This connection reads more slowly than traces change. It is told late; nothing is left "
        "out."
    ),
    "queued": gettext_noop("Your question waits for its turn."),
    # Notices.
    "not_running": gettext_noop("There is nothing to cancel: that answer has already ended."),
    "waiting": gettext_noop("The service has no worker just now. The answer waits for one."),
    "continuing": gettext_noop("The agent's process has ended. The answer waits for another one."),
    "continued": gettext_noop("The answer goes on."),
    "service_stopped": gettext_noop(
        "The service does not run. It takes messages again once it is started."
    ),
    "service_started": gettext_noop("The service takes messages again."),
    "draining": gettext_noop("The server is about to restart. Reconnect in a moment."),
    # Errors, by the protocol's codes.
    "invalid_json": gettext_noop("The frame is not valid JSON."),
    "invalid_event": gettext_noop("The event is not valid: check '{detail}'."),
    "invalid_event_frame": gettext_noop("A frame must be text holding one JSON object."),
    "unfit_arguments": gettext_noop(
        "The tool can't take these arguments: {detail}. It still waits."
    ),
    "unknown_event": gettext_noop("There is no client event named '{detail}'."),
    "unknown_message": gettext_noop("There is no such message in this conversation."),
    "not_ended": gettext_noop("The answer is not there yet. Say what it is worth once it is."),
    "unknown_session": gettext_noop("There is no such conversation here."),
    "session_closed": gettext_noop("This conversation has ended. Start a new one."),
    "forbidden": gettext_noop("This address or page may not connect to the service."),
    "unauthenticated": gettext_noop("Log in, or connect with a token that is valid."),
    "pages_need_login": gettext_noop(
        "Pages need a login: a token is for the REST API and for sockets."
    ),
    "forbidden_account": gettext_noop("Your account or token may not use agents."),
    "forbidden_session": gettext_noop("This conversation belongs to somebody else."),
    "forbidden_to_act": gettext_noop("You may read this conversation, but not take part in it."),
    "forbidden_service": gettext_noop("You may not use this service."),
    "closed_by_administrator": gettext_noop("An administrator closed this connection."),
    "forbidden_file": gettext_noop(
        "A page opened from a file needs a token: add the ?token=… that the server printed when "
        "it started to the socket's address."
    ),
    "rate_limited": gettext_noop("Too many messages. Wait a moment, then send it again."),
    "messages_per_minute": gettext_noop(
        "You have sent {detail} messages within a minute, which is the most. There is room for "
        "another one in {retry_after_s} s."
    ),
    "service_messages_per_minute": gettext_noop(
        "The service has had {detail} messages within a minute, which is the most that it takes. "
        "There is room for another one in {retry_after_s} s."
    ),
    "runs_at_once": gettext_noop(
        "{detail} of your conversations are at work already, which is the most. There is room when "
        "one of them has its answer."
    ),
    "searches_per_minute": gettext_noop(
        "You have searched {detail} times within a minute, which is the most. Search again in "
        "{retry_after_s} s."
    ),
    "service_full": gettext_noop(
        "The service has as many conversations as it takes at once: {detail}. "
        "Try again in {retry_after_s} s."
    ),
    "too_large": gettext_noop("The {detail} is too large."),
    "too_many_sessions": gettext_noop(
        "This connection holds too many conversations. Detach from one first."
    ),
    "too_many_requests": gettext_noop(
        "The server has too many requests under way. Try again in a moment."
    ),
    "too_many_connections": gettext_noop("Too many connections from your address."),
    "busy": gettext_noop("The agent is still working on another message."),
    "not_waiting": gettext_noop("Nothing is waiting for this response."),
    "moved": gettext_noop("The conversation has moved to another process. Reconnect."),
    "no_service": gettext_noop("There is no such service here."),
    "only_sockets": gettext_noop(
        "This port serves WebSockets alone. Pages and the REST API are at the port of 'api' or of "
        "'manage.py serve'."
    ),
    "only_pages": gettext_noop(
        "This port serves pages and the REST API alone. Conversations are at the port of 'proxy' "
        "or of 'manage.py serve'."
    ),
    "none_available": gettext_noop("No available services for routing."),
    "name_a_service": gettext_noop("Say which service you mean. There are: {detail}."),
    "forwarded_already": gettext_noop(
        "Another site passes this connection on. It can't be passed on once more."
    ),
    "external_not_resumed": gettext_noop(
        "This connection does not reach the service of the conversation. Resume it "
        "(user.reconnect), then try again."
    ),
    "external_lost": gettext_noop(
        "The connection to the service was lost, and with it perhaps an answer. Resume the "
        "conversation (user.reconnect), then try again."
    ),
    "external_unreachable": gettext_noop("The service can't be reached just now. Try again soon."),
    "only_events": gettext_noop("The service runs elsewhere. It speaks the events dialect alone."),
    "service_unavailable": gettext_noop("The service takes no new work just now. Try again soon."),
    "storage_unavailable": gettext_noop(
        "The message could not be saved just now and was not accepted. Try again soon."
    ),
    "storage_away": gettext_noop("The database can't be used just now. Try again soon."),
    "storage_uncertain": gettext_noop(
        "It is not known whether this was saved. Send it again: a message with the same message_id "
        "is accepted only once."
    ),
    "agent_error": gettext_noop("The agent failed on this message. Its log has the details."),
    "no_worker": gettext_noop("The service is not running. Try again later."),
    "agent_gone": gettext_noop(
        "The agent was cut off while it worked and can't continue. Ask again."
    ),
    "agent_kills": gettext_noop("The agent's process ended three times at this message."),
    "internal_error": gettext_noop("Something went wrong on the server. Its log has the details."),
    "slow_client": gettext_noop("This connection reads too slowly. Reconnect to resume."),
}


def _translated(lang: str, text: str) -> str:
    with translation.override(lang):
        return translation.gettext(text)


@lru_cache(maxsize=1024)
def _own(lang: str, name: str) -> str:
    # Only our own sentences are cached: others may be of any number and length.
    return _translated(lang, SENTENCES[name])


def say(lang: str, name: str, **values: object) -> str:
    """The sentence `name` of `SENTENCES` in a language of the site."""
    return _own(lang, name).format(**values)


def tell(lang: str, said: Said) -> str:
    """Another process's sentence, in one of the site's languages if the catalogue has it.

    A placeholder without a value stays as it is. Length and depth are checked where the JSON is
    read.
    """

    def told(value: object) -> str | None:
        if value is None:
            return None
        return tell(lang, value) if isinstance(value, Said) else str(value)

    template = _translated(lang, said.template) if said.template else ""
    return fill(template, said.values, told) if said.values else template


MAX_TAG = 35
"""The longest language tag, in characters, that is considered."""


def supported(lang: str | None) -> str | None:
    """The site's language for a language tag such as `zh-CN`, if it has one."""
    if not lang or len(lang) > MAX_TAG:
        return None
    try:
        return translation.get_supported_language_variant(lang.lower())
    except LookupError:
        return None


def choose(*tags: str | None, accept_language: str = "") -> str:
    """The first tag that the site supports, else what the browser accepts, else the site's own."""
    accepted = (tag for tag, _ in parse_accept_lang_header(accept_language))
    for tag in (*tags, *accepted):
        if lang := supported(tag):
            return lang
    return str(settings.LANGUAGE_CODE)
