"""The sentences of the chat page, for its template and its scripts.

Placeholders such as `{tool}` are filled in by the page.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils import translation
from django.utils.translation import gettext_noop

from agents.stop_reasons import STOPPED

TEXTS = {
    "skip": gettext_noop("Skip to the message box"),
    "conversations": gettext_noop("Conversations"),
    "new_conversation": gettext_noop("New conversation"),
    "open_list": gettext_noop("Show conversations"),
    "close_list": gettext_noop("Hide conversations"),
    "no_conversations": gettext_noop("Your conversations will be listed here."),
    "search": gettext_noop("Search conversations"),
    "nothing_found": gettext_noop("Nothing was found."),
    "found": gettext_noop("Found: {count}"),
    "more": gettext_noop("Show older ones"),
    "list_away": gettext_noop("The conversations can’t be listed just now. {reason}"),
    "no_answer": gettext_noop("The site did not answer."),
    "conversation_waiting": gettext_noop("Waits for your answer"),
    "conversation_running": gettext_noop("Being answered"),
    "tab_waiting": gettext_noop("(!) {title}"),
    "tab_running": gettext_noop("… {title}"),
    "waits_beside": gettext_noop("“{title}” waits for your answer."),
    "done_beside": gettext_noop("“{title}” has been answered."),
    "rename": gettext_noop("Rename"),
    "rename_named": gettext_noop("Rename “{title}”"),
    "new_name": gettext_noop("New name"),
    "delete": gettext_noop("Delete"),
    "delete_named": gettext_noop("Delete “{title}”"),
    "delete_question": gettext_noop("Delete this conversation?"),
    "delete_explained": gettext_noop(
        "“{title}” leaves this list and ends; an answer that is being written is stopped."
    ),
    "delete_for_good": gettext_noop(
        "“{title}” is removed for good, with all that was said in it, for every device; an answer "
        "that is being written is stopped."
    ),
    "keep": gettext_noop("Keep"),
    "language": gettext_noop("Language"),
    "theme": gettext_noop("Colours"),
    "theme_auto": gettext_noop("Colours: as the system"),
    "theme_light": gettext_noop("Colours: light"),
    "theme_dark": gettext_noop("Colours: dark"),
    "transcript": gettext_noop("Conversation with {agent}"),
    "empty_hint": gettext_noop("Ask something to begin."),
    "examples_hint": gettext_noop("Ask something to begin, for example:"),
    "tools_known": gettext_noop("What it can use"),
    "asks_first": gettext_noop("asks first"),
    "demo": gettext_noop(
        "The offline demo model answers: it only knows the tools. "
        "Set OPENAI_API_KEY for a real one."
    ),
    "message": gettext_noop("Message"),
    "placeholder": gettext_noop("Message {agent}"),
    "keys_hint": gettext_noop("Enter sends, Shift+Enter starts a new line"),
    "send": gettext_noop("Send"),
    "stop": gettext_noop("Stop the answer"),
    "to_end": gettext_noop("Jump to the latest"),
    "queue": gettext_noop("Waiting messages"),
    "queued": gettext_noop("Waits for its turn"),
    "remove_queued": gettext_noop("Remove “{text}”"),
    "sending": gettext_noop("Sending…"),
    "sending_again": gettext_noop("Not taken yet. Trying again…"),
    "you_said": gettext_noop("You said:"),
    "agent_said": gettext_noop("{agent} said:"),
    "thinking": gettext_noop("Thinking…"),
    "writing": gettext_noop("{agent} is answering."),
    "stopping": gettext_noop("Stopping…"),
    "reasoning": gettext_noop("Reasoning"),
    "arguments": gettext_noop("Arguments"),
    "no_arguments": gettext_noop("No arguments"),
    "result": gettext_noop("Result"),
    "empty_result": gettext_noop("Empty"),
    "truncated": gettext_noop("Cut: the whole result had {length} characters."),
    "cut_answer": gettext_noop("Cut: the whole answer had {length} characters."),
    "tool_waiting": gettext_noop("Waits for you"),
    "tool_running": gettext_noop("Running"),
    "tool_success": gettext_noop("Done"),
    "tool_error": gettext_noop("Failed"),
    "tool_cancelled": gettext_noop("Stopped"),
    "tool_declined": gettext_noop("Declined"),
    "tool_unknown": gettext_noop("Effect not known"),
    "approve": gettext_noop("Approve"),
    "approve_edited": gettext_noop("Approve with these"),
    "edit": gettext_noop("Edit arguments"),
    "decline": gettext_noop("Decline"),
    "back": gettext_noop("Back"),
    "reason": gettext_noop("Reason (the agent will read it)"),
    "arguments_json": gettext_noop("Arguments as JSON"),
    "not_an_object": gettext_noop("This is not a JSON object. {detail}"),
    "not_json": gettext_noop("{name}: this is not JSON. {detail}"),
    "not_whole": gettext_noop("{name}: this is not a whole number."),
    "not_a_number": gettext_noop("{name}: this is not a number."),
    "optional": gettext_noop("optional"),
    "rounded": gettext_noop(
        "Your browser rounds a number here, so the arguments can’t be edited in it."
    ),
    "declined_at": gettext_noop("Without an answer it is declined at {time}."),
    "approval_needed": gettext_noop("Your answer is needed: {question}"),
    "feedback": gettext_noop("Your words: {text}"),
    "rate_answer": gettext_noop("Rate the answer"),
    "thumb_up": gettext_noop("Good answer"),
    "thumb_down": gettext_noop("Bad answer"),
    "what_was_good": gettext_noop("What was good? (optional)"),
    "what_was_bad": gettext_noop("What was wrong? (optional)"),
    "skip_comment": gettext_noop("Skip"),
    "thank_you": gettext_noop("Thank you for your feedback."),
    "rating_withdrawn": gettext_noop("Your feedback was taken back."),
    "rating_refused": gettext_noop("Your feedback was not taken: {reason}"),
    "copy": gettext_noop("Copy"),
    "copy_answer": gettext_noop("Copy answer"),
    "trace": gettext_noop("Trace"),
    "show_trace": gettext_noop("Show the trace of this run"),
    "copy_code": gettext_noop("Copy code"),
    "copied": gettext_noop("Copied"),
    "copy_failed": gettext_noop("The browser did not allow copying."),
    "try_again": gettext_noop("Try again"),
    "effects": gettext_noop("It is not known whether these took effect: {tools}."),
    **STOPPED,
    "connecting": gettext_noop("Connecting…"),
    "connected": gettext_noop("Connected"),
    "reconnecting": gettext_noop("Connection lost. Reconnecting…"),
    "reconnect_now": gettext_noop("Try now"),
    "disconnected": gettext_noop("The connection was closed. Reload the page to try again."),
    "gone": gettext_noop("This conversation is no longer there."),
    "ended": gettext_noop("This conversation has ended."),
    "too_large": gettext_noop("The message is too large: 256 KiB is the limit."),
    "unsendable": gettext_noop(
        "This can’t be sent: it is too large, or contains an invalid character."
    ),
    "half_character": gettext_noop("The text contains an invalid character, which can’t be sent."),
    "refused": gettext_noop("Your message was not sent: {reason}"),
    "milliseconds": gettext_noop("{count} ms"),
    "seconds": gettext_noop("{count} s"),
    "needs_scripts": gettext_noop("The chat needs JavaScript."),
}


def translated(texts: Mapping[str, str], lang: str) -> dict[str, str]:
    with translation.override(lang):
        return {name: translation.gettext(text) for name, text in texts.items()}
