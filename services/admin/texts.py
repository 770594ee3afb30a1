"""Sentences of the admin's templates about services."""

from __future__ import annotations

from django.utils.translation import gettext_lazy, gettext_noop

TEXTS = {
    "status": gettext_lazy("Status"),
    "desired": gettext_lazy("Desired"),
    "health": gettext_lazy("Health"),
    "sessions": gettext_lazy("Sessions"),
    "uptime": gettext_lazy("Uptime"),
    "restarts": gettext_lazy("Restarts"),
    "last_check": gettext_lazy("Last health check"),
    "chat": gettext_lazy("Chat"),
    "instances": gettext_lazy("Instances"),
    "no_instances": gettext_lazy("Nothing was started yet."),
    "state": gettext_lazy("State"),
    "place": gettext_lazy("Place"),
    "pid": gettext_lazy("Process"),
    "memory": gettext_lazy("Memory"),
    "cpu": gettext_lazy("CPU"),
    "loop_lag": gettext_lazy("Loop lag"),
    "error": gettext_lazy("Error"),
    "log": gettext_lazy("Log"),
    "show_log": gettext_lazy("Show the log"),
    "last_lines": gettext_lazy("The last lines of the log"),
    "empty_log": gettext_lazy("Nothing was written yet."),
    "checks": gettext_lazy("Health checks"),
    "no_checks": gettext_lazy("Nothing was checked yet."),
    "time": gettext_lazy("Time"),
    "result": gettext_lazy("Result"),
    "latency": gettext_lazy("Latency"),
    "passed": gettext_lazy("passed"),
    "failed": gettext_lazy("failed"),
    "unregister_question": gettext_lazy("Take this off the list of services?"),
    "unregister_explained": gettext_lazy(
        "Its instances are asked to stop; answers that are being written may finish. The service "
        "leaves the list once its instances have ended. Its conversations stay in the database, "
        "and its agent file on the disk."
    ),
    "unregister_many_explained": gettext_lazy(
        "Their instances are asked to stop; answers that are being written may finish. Each "
        "service leaves the list once its instances have ended. Conversations stay in the "
        "database, and agent files on the disk."
    ),
    "unregister": gettext_lazy("Unregister"),
    "stop": gettext_lazy("Stop"),
    "stop_explained": gettext_lazy(
        "They take no new messages; answers that are being written may finish within the grace "
        "period. Then their processes end. Conversations stay in the database."
    ),
    "keep": gettext_lazy("Keep"),
}

CHANGED = (
    gettext_noop("Name"),
    gettext_noop("Description"),
    gettext_noop("Agent file"),
    gettext_noop("Address of an external service"),
    gettext_noop("Start at registration"),
    gettext_noop("Replicas"),
    gettext_noop("Weight"),
    gettext_noop("Host"),
    gettext_noop("Port"),
    gettext_noop("Restart after a crash"),
    gettext_noop("Restarts at most"),
    gettext_noop("First delay of a restart (s)"),
    gettext_noop("Sessions at most"),
    gettext_noop("Idle sessions leave memory after (s)"),
    gettext_noop("Memory limit (MB)"),
    gettext_noop("Interpreter"),
)
"""Labels of the form that occur nowhere else: the history stores them and shows them translated."""
