"""The sentences of the console and the home page, for their templates and scripts.

Placeholders such as `{name}` are filled in by the page.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from agents.sentences import SENTENCES
from myagent_site.chat_texts import TEXTS as CHAT
from myagent_site.rule_texts import TEXTS as RULES

SHARED = {
    name: CHAT[name]
    for name in (
        "language",
        "theme_auto",
        "theme_light",
        "theme_dark",
        "connecting",
        "reconnect_now",
    )
}

PLACES = {
    "home": gettext_noop("Home"),
    "console": gettext_noop("Console"),
    "traces": gettext_noop("Traces"),
    "admin": gettext_noop("Admin"),
    "docs": gettext_noop("API"),
    "places": gettext_noop("Pages of this site"),
    "skip_to_content": gettext_noop("Skip to the content"),
}

REGISTERING = {
    "register_first": gettext_noop("Put an agent file on the list and start it:"),
    "register_more": gettext_noop("Or add one on the administration pages, or over REST."),
}

TEXTS = (
    SHARED
    | PLACES
    | REGISTERING
    | RULES
    | {
        "live": gettext_noop("Live"),
        "paused": gettext_noop("Paused while this page is hidden"),
        "lost": gettext_noop("Connection lost. Reconnecting…"),
        "storage_away": gettext_noop("The database can’t be read just now."),
        "too_many": gettext_noop("Too many people are watching. Trying again soon…"),
        "logged_out": gettext_noop("You are logged out."),
        "log_in": gettext_noop("Log in"),
        "no_leave_title": gettext_noop("Not for you to see"),
        "no_leave": gettext_noop("Your account may not see services. Ask an administrator for it."),
        "needs_scripts": gettext_noop("The console needs JavaScript."),
        # Totals.
        "totals": gettext_noop("Totals"),
        "total_running": gettext_noop("Services running"),
        "of": gettext_noop("{some} of {all}"),
        "total_sessions": gettext_noop("Sessions"),
        "total_turns": gettext_noop("Turns a minute"),
        "total_troubled": gettext_noop("In trouble"),
        "supervisor": gettext_noop("Supervisor"),
        "supervisor_since": gettext_noop("on {node} since {time}"),
        "supervisor_automatic": gettext_noop("on {node} since {time}, started by itself"),
        "no_supervisor": gettext_noop("None: nothing is started, stopped or checked."),
        "no_supervisor_yet": gettext_noop(
            "None just now. One starts by itself when a service is started."
        ),
        "start_supervisor": gettext_noop("Start one:"),
        # The list.
        "services": gettext_noop("Services"),
        "no_services": gettext_noop("No services yet"),
        "filter": gettext_noop("Filter by name, tag or state"),
        "filtered": gettext_noop("{some} of {all} services"),
        "none_found": gettext_noop("No service matches."),
        "only_first": gettext_noop("Only the first {count} services by name are shown."),
        "expand_all": gettext_noop("Show details of all"),
        "collapse_all": gettext_noop("Hide details of all"),
        "details": gettext_noop("Details of {name}"),
        "external": gettext_noop("external"),
        "changed": gettext_noop("{name}: {state}"),
        # Connections.
        "connections": gettext_noop("Connections"),
        "filter_connections": gettext_noop("Filter by service, user, address or program"),
        "connected_since": gettext_noop("Connected since"),
        "service": gettext_noop("Service"),
        "user": gettext_noop("User"),
        "client_address": gettext_noop("Address"),
        "program": gettext_noop("Program"),
        "server": gettext_noop("Server"),
        "no_connections": gettext_noop("Nobody is connected."),
        "no_connection_matches": gettext_noop("No connection matches."),
        "only_newest": gettext_noop("Only the newest {count} are shown."),
        "connections_unread": gettext_noop("The connections could not be read: {reason}"),
        "close": gettext_noop("Close"),
        "close_named": gettext_noop("Close the connection of {who}"),
        "close_question": gettext_noop("Close this connection?"),
        "close_explained": gettext_noop(
            "{who} is disconnected. Conversations and answers that are being written go on."
        ),
        "keep_open": gettext_noop("Leave it open"),
        # Measurements.
        "health": gettext_noop("Health"),
        "sessions": gettext_noop("Sessions"),
        "turns": gettext_noop("Turns/min"),
        "p95": gettext_noop("p95 of turns"),
        "memory": gettext_noop("Memory"),
        "restarts": gettext_noop("Restarts"),
        "lag": gettext_noop("Loop lag"),
        "none": gettext_noop("None"),
        "unknown": gettext_noop("Not known"),
        # Charts.
        "charts": gettext_noop("The last hour of {name}"),
        "chart_summary": gettext_noop(
            "{what} over the last hour: now {now}, lowest {low}, highest {high}."
        ),
        "chart_restarts": gettext_noop("Restarts in the last hour: {count}."),
        "chart_empty": gettext_noop("{what}: nothing measured in the last hour."),
        "no_data": gettext_noop("Nothing was measured in the last hour."),
        "at_time": gettext_noop("{value} at {time}"),
        "no_history": gettext_noop("The last hour could not be read."),
        # Instances.
        "state": gettext_noop("State"),
        "process": gettext_noop("Process"),
        "since": gettext_noop("Ready since"),
        "no_instances": gettext_noop("No process runs for it."),
        "instances": gettext_noop("Instances of {name}"),
        # What can be done.
        "chat": gettext_noop("Chat"),
        "settings": gettext_noop("Settings"),
        "named": gettext_noop("{what}: {name}"),
        "start": gettext_noop("Start"),
        "stop": gettext_noop("Stop"),
        "restart": gettext_noop("Restart"),
        "stop_question": gettext_noop("Stop this service?"),
        "stop_explained": gettext_noop(
            "“{name}” takes no new conversations; answers that are being written may finish "
            "within the grace period."
        ),
        "keep_running": gettext_noop("Let it run"),
        "not_done": gettext_noop("That could not be done: {reason}"),
        "no_answer": gettext_noop("the site did not answer"),
        "error": gettext_noop("Error"),
        "show_log": gettext_noop("Show log"),
        "hide_log": gettext_noop("Hide log"),
        "log_named": gettext_noop("Last lines of the log of {name}"),
        "empty_log": gettext_noop("The log is empty."),
        "log_unread": gettext_noop("The log could not be read."),
    }
)

HOME_TEXTS = (
    SHARED
    | PLACES
    | REGISTERING
    | {
        "title": gettext_noop("MyAgent Site"),
        "talk": gettext_noop("Talk to a service"),
        "all_in_console": gettext_noop("All services, live, are in the console."),
        "nothing_runs": gettext_noop("Nothing runs yet"),
        "none_running": gettext_noop("No service runs just now"),
        "start_one": gettext_noop("Start one in the console, or with"),
        "serve_file": gettext_noop("Or serve a single agent file, without the list:"),
        "closed": gettext_noop("Log in to see the services of this site."),
        "log_in": gettext_noop("Log in"),
        "away": gettext_noop("The database can’t be read just now. On a new one, make its tables:"),
        "console_hint": gettext_noop("Services, instances and their measurements, live"),
        "traces_hint": gettext_noop("What happened inside runs: steps, times, tokens, costs"),
        "admin_hint": gettext_noop("Register, change and manage services"),
        "docs_hint": gettext_noop("Every request that programs can make, to read and to try"),
    }
)

ERROR_TEXTS = (
    SHARED
    | PLACES
    | {
        "not_found_title": gettext_noop("There is no such page"),
        "not_found": gettext_noop("Nothing is at this address:"),
        "only_pages_title": gettext_noop("Conversations are at another port"),
        "forbidden_title": gettext_noop("Not allowed"),
        "forbidden": gettext_noop("Your account may not do this."),
        "stale_form_title": gettext_noop("This form can’t be accepted"),
        "stale_form": gettext_noop(
            "It has expired, or was sent from another site. Go back, reload the page, try again."
        ),
        "bad_request_title": gettext_noop("Invalid request"),
        "bad_request": gettext_noop("The request is not one that this site understands."),
        "internal_error_title": gettext_noop("Something went wrong"),
        "internal_error": gettext_noop(
            "The error is on our side; the server’s log has the details."
        ),
        "storage_unavailable_title": gettext_noop("The site can’t be used just now"),
        "storage_unavailable": SENTENCES["storage_away"],
        "too_many_logins_title": gettext_noop("One login at a time"),
        "too_many_logins": gettext_noop(
            "Another login from your address is being checked, or too many from elsewhere. Wait a "
            "moment, then try again."
        ),
        "to_home": gettext_noop("See the services that run"),
        "to_chat": gettext_noop("To the chat"),
    }
)

NO_CHAT_TEXTS = (
    SHARED
    | PLACES
    | {
        "no_service_title": gettext_noop("No such service"),
        "no_service": gettext_noop("No service of this site has this name:"),
        "to_home": gettext_noop("See the services that run"),
    }
)
