"""Why there is no more of an answer, by `stop_reason`, in sentences for people."""

from __future__ import annotations

from django.utils.translation import gettext_noop

STOPPED = {
    "max_steps": gettext_noop("The agent reached its limit of steps."),
    "length": gettext_noop("The answer is cut: the model reached its limit of tokens."),
    "content_filter": gettext_noop("The content filter of the model’s provider cut this answer."),
}
