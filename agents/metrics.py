"""What Prometheus may ask a server for: each metric by name, with its unit and its labels.

Labels have few values: services that are registered, statuses and codes of the protocol. Nothing
here is about a single session, client or model.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TURN_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)
MODEL_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60)
COMMIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DELAY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10)
WRITES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# Runs, as the log has them.

RUNS_STARTED = Counter("myagent_runs_started", "Runs that began.", ["service"])
RUNS_ENDED = Counter(
    "myagent_runs_ended", "Runs that ended, by how they did.", ["service", "status"]
)
RUN_SECONDS = Histogram(
    "myagent_run_seconds", "Seconds from a run's start to its end.", ["service"], buckets=TURN_S
)
RUN_ERRORS = Counter(
    "myagent_run_errors", "Runs that ended with an error, by its code.", ["service", "code"]
)
RUN_CONTINUATIONS = Counter(
    "myagent_run_continuations", "Interrupted runs that went on from the log.", ["service"]
)
MODEL_SECONDS = Histogram(
    "myagent_model_reply_seconds", "Seconds of a model's reply.", ["service"], buckets=MODEL_S
)
FIRST_TOKEN_SECONDS = Histogram(
    "myagent_first_token_seconds",
    "Seconds from asking a model to the first piece of its reply.",
    ["service"],
    buckets=MODEL_S,
)
TOKENS = Counter(
    "myagent_tokens",
    "Tokens of models. cached is a part of prompt, and reasoning of completion.",
    ["service", "kind"],
)
COST = Counter("myagent_cost", "What models cost, in the site's currency.", ["service"])
TOOL_CALLS = Counter(
    "myagent_tool_calls", "Calls of tools that ended, by how they did.", ["service", "status"]
)

# The server.

CONNECTIONS = Gauge("myagent_open_sockets", "Open sockets of clients.", multiprocess_mode="livesum")
SESSIONS = Gauge(
    "myagent_live_sessions", "Sessions in memory.", ["service"], multiprocess_mode="livesum"
)
RUNNING = Gauge("myagent_running_runs", "Runs under way.", ["service"], multiprocess_mode="livesum")
QUEUED = Gauge(
    "myagent_queued_runs",
    "Messages that wait for the run before them.",
    ["service"],
    multiprocess_mode="livesum",
)
REFUSED = Counter("myagent_refusals", "Requests of clients that were refused, by code.", ["code"])
LOOP_LAG_SECONDS = Histogram(
    "myagent_loop_lag_seconds", "How late the event loop wakes up, sampled.", buckets=DELAY_S
)
FOLLOWER_DELAY_SECONDS = Histogram(
    "myagent_follower_delay_seconds",
    "Seconds from an entry's commit at its owner to this server's clients.",
    buckets=DELAY_S,
)

# The journal.

COMMIT_SECONDS = Histogram(
    "myagent_journal_commit_seconds", "Seconds of a commit to the log.", buckets=COMMIT_S
)
COMMIT_WRITES = Histogram(
    "myagent_journal_batch_writes", "Writes of one commit to the log.", buckets=WRITES
)
BACKLOG = Gauge(
    "myagent_journal_backlog", "Writes that wait for their commit.", multiprocess_mode="livesum"
)
STORAGE_AVAILABLE = Gauge(
    "myagent_storage_available",
    "1 if the database takes what is said, else 0.",
    multiprocess_mode="livemin",
)
REDIS_UP = Gauge(
    "myagent_redis_up",
    "1 if the server hears what Redis sends, or has no Redis; else 0.",
    multiprocess_mode="livemin",
)
RECORDER_FAILURES = Counter(
    "myagent_recorder_failures", "Times that writes could not be recorded for traces."
)
