"""Every setting that the environment or `.env` can change: one table, read by `settings.py`.

`docs/settings.md` is this table as a page; a test keeps the two alike. It is as long as there are
settings.
"""

from __future__ import annotations

from myagent_site.option import Option

OPTIONS = (
    Option(
        "MYAGENT_ENV_FILE",
        "str",
        "",
        "File from which further settings are read; it must exist. Empty: `.env` beside "
        "`manage.py`, if there is one.",
    ),
    Option(
        "MYAGENT_VAR_DIR",
        "str",
        "",
        "Folder for what the site keeps on disk: the generated secret key, logs and locks. Empty: "
        "`var/` beside the SQLite file; with a database server, beside `manage.py`.",
    ),
    Option(
        "SECRET_KEY",
        "str",
        "",
        "Signs and encrypts. Empty: on SQLite one is generated and kept in the var folder; "
        "with another database it is required.",
    ),
    Option(
        "SECRET_KEY_FALLBACKS",
        "list",
        [],
        "Former secret keys, and one that is to come, that are accepted beside SECRET_KEY while it "
        "is changed. None may have a comma.",
    ),
    Option("DEBUG", "bool", False, "Django's debug mode. Never on a network."),
    Option(
        "DATABASE_URL",
        "str",
        "",
        "The database, as `mysql://USER:PASSWORD@HOST:PORT/NAME` or `sqlite:///PATH`. "
        "Empty: `MYSQL_*` if MYSQL_HOST or MYSQL_DATABASE is set, else SQLite.",
    ),
    Option(
        "REDIS_URL",
        "str",
        "",
        "Redis, as `redis://HOST:PORT/NUMBER`: processes tell each other about changes through it. "
        "Empty: each polls the database, and notices changes a little later. Needs the packages "
        "of `scripts/bootstrap --production`.",
        starts=("redis://", "rediss://", "unix://"),
    ),
    Option("MYSQL_HOST", "str", "", "MySQL or MariaDB server."),
    Option("MYSQL_PORT", "int", 3306, "Its port."),
    Option("MYSQL_USER", "str", "root", "Its user."),
    Option("MYSQL_PASSWORD", "str", "", "Its password."),
    Option("MYSQL_DATABASE", "str", "", "Its database; `myagent` if only MYSQL_HOST is set."),
    Option("MYSQL_CHARSET", "str", "utf8mb4", "The connection's character set."),
    Option(
        "ALLOWED_HOSTS",
        "list",
        [],
        "Host names under which the site may be addressed. IP addresses and localhost always pass.",
    ),
    Option(
        "MYAGENT_ALLOWED_ORIGINS",
        "list",
        [],
        "Origins of pages on other hosts that may open sockets, as `https://app.example.com`; "
        "`null` for pages opened from a file.",
    ),
    Option(
        "MYAGENT_BASE_PATH",
        "str",
        "",
        "Path of the host below which the site is, as `/agents/`, where a proxy in front has other "
        "paths for other things. Empty: the whole host is the site's.",
    ),
    Option(
        "MYAGENT_TRUSTED_PROXIES",
        "list",
        [],
        "Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto "
        "are believed.",
    ),
    Option(
        "MYAGENT_HSTS_S",
        "int",
        30 * 24 * 3600,
        "Seconds for which browsers that came over https, through a trusted proxy, use only https "
        "for this host (HSTS). 0: HSTS is not sent.",
    ),
    Option(
        "MYAGENT_AUTH",
        "str",
        "open",
        "`open`: whoever can connect may use the agents, and over loopback the REST interface and "
        "the console require no login either; from other machines they always do. `token`: "
        "everybody proves who they are, by an API token or a login.",
        choices=("open", "token"),
    ),
    Option(
        "MYAGENT_AGENT_DIRS",
        "list",
        [],
        "Folders below which the REST interface and the admin may register agent files. Empty: "
        "they register none.",
    ),
    Option(
        "MYAGENT_ENV_ALLOWED",
        "list",
        ["OPENAI_*", "LLM_*", "APP_*"],
        "Environment variables that the REST interface and the admin may set for a service: names,"
        " or prefixes with `*` at the end. Variables that an interpreter, a loader or a shell "
        "reads let people run their own code.",
    ),
    Option(
        "MYAGENT_SUPERVISOR",
        "str",
        "auto",
        "`auto`: on SQLite a command that needs a supervisor starts one in the background. "
        "`external`: it says how to start one.",
        choices=("auto", "external"),
    ),
    Option(
        "MYAGENT_LAUNCHER",
        "str",
        "local",
        "Where supervisors start the workers of services: `local`, as processes beside them, or "
        "`ray`, as jobs of a Ray cluster.",
        choices=("local", "ray"),
    ),
    Option(
        "RAY_ADDRESS",
        "str",
        "",
        "The job server of that cluster, as `http://HOST:8265`.",
    ),
    Option(
        "MYAGENT_RAY_CPUS",
        "float",
        1.0,
        "CPUs that a node of the cluster must have free for a worker; a service's tag "
        "`ray:cpus:NUMBER` takes precedence.",
    ),
    Option(
        "MYAGENT_RAY_UPLOAD",
        "bool",
        True,
        "Whether the folder of the agent file, and the SDK, are sent to the cluster. `false`: each "
        "node has both already, the file at the same path.",
    ),
    Option(
        "MYAGENT_RAY_ENV",
        "str",
        "",
        "What Ray sets up for a worker, its `runtime_env`, as JSON: "
        '`{"pip": ["openai[aiohttp]"]}`.',
    ),
    Option(
        "MYAGENT_START_TIMEOUT_S",
        "float",
        60.0,
        "Seconds that a service's process has to become ready.",
    ),
    Option(
        "MYAGENT_HEALTH_INTERVAL_S", "float", 10.0, "Seconds between health checks of an instance."
    ),
    Option(
        "MYAGENT_HEALTH_TIMEOUT_S",
        "float",
        5.0,
        "Seconds within which an instance must answer a health check.",
    ),
    Option(
        "MYAGENT_HEALTH_HISTORY_S",
        "float",
        86_400.0,
        "Seconds for which the results of health checks are kept.",
    ),
    Option(
        "MYAGENT_LOG_BYTES",
        "int",
        10_000_000,
        "Bytes after which an instance's log is rotated, and that of a supervisor which a command "
        "started.",
    ),
    Option(
        "MYAGENT_LOG_FILES",
        "int",
        3,
        "Rotated files that are kept of such a log.",
    ),
    Option(
        "MYAGENT_PASS_ENV",
        "list",
        [],
        "Names of further environment variables that are passed on to agents' processes, from the "
        "supervisor's environment and from the site's own `.env`. The model's variables and the "
        "usual ones such as PATH and LANG are always passed on; settings of the site never are.",
    ),
    Option(
        "MYAGENT_MAX_SESSIONS",
        "int",
        0,
        "Conversations of a service that all servers hold at once, counting those with a client or "
        "a running answer. New ones beyond that are refused; one that has begun may always be "
        "resumed. 0: no limit. A service's own `max_sessions` takes "
        "precedence.",
    ),
    Option(
        "MYAGENT_AGENT",
        "str",
        "",
        "Agent file that an ASGI server hosts when it is started without `runagent`, as in "
        "`daphne myagent_site.asgi:application`.",
    ),
    Option(
        "MYAGENT_LOG_LEVEL",
        "str",
        "INFO",
        "Lowest level that is logged: DEBUG, INFO, WARNING …",
    ),
    Option(
        "MYAGENT_LOG_FILE",
        "str",
        "",
        "File, such as `myagent.log`, to which `runagent`, `serve` and `supervise` add their log "
        "as JSON, besides standard error. They notice when another program rotates it. Services "
        "have logs of their own.",
    ),
    Option(
        "SENTRY_DSN",
        "str",
        "",
        "Where errors of servers and supervisors are sent, as Sentry names it. Needs the extra "
        "`sentry`. Empty: nowhere.",
    ),
    Option(
        "MYAGENT_METRICS_PORT",
        "int",
        0,
        "Port at which Prometheus may read `/metrics` without a token, besides the site's own "
        "address; of several servers of a machine one has it. 0: none.",
    ),
    Option("MYAGENT_METRICS_HOST", "str", "127.0.0.1", "Address on which it listens."),
    Option(
        "MYAGENT_MESSAGES_PER_SECOND",
        "float",
        10.0,
        "Frames a second that a socket may send over time; more get `rate_limited`. 0: no limit.",
    ),
    Option("MYAGENT_MESSAGE_BURST", "int", 20, "Frames that a socket may send at once."),
    Option(
        "MYAGENT_MESSAGES_PER_MINUTE",
        "int",
        600,
        "Messages a minute that one client may send, all its sockets and requests together: an "
        "account with all its tokens, or where nobody logs in an address other than this machine's "
        "own and those of trusted proxies. With Redis all servers count together. 0: no limit.",
    ),
    Option(
        "MYAGENT_SERVICE_MESSAGES_PER_MINUTE",
        "int",
        0,
        "Messages a minute that a service takes from all clients together. With Redis all servers "
        "count together. 0: no limit.",
    ),
    Option(
        "MYAGENT_RUNS_AT_ONCE",
        "int",
        100,
        "Conversations of one client that may be at work at once; a message to a further one is "
        "refused. An account's count at all servers, those of an address at each. 0: no limit.",
    ),
    Option(
        "MYAGENT_SEARCHES_PER_MINUTE",
        "int",
        60,
        "Searches a minute in what was said in conversations that one client may ask a server for "
        "over REST. 0: no limit.",
    ),
    Option(
        "MYAGENT_CONNECTIONS_PER_ADDRESS",
        "int",
        1000,
        "Sockets that one client address may have open, and separately the same number of HTTP "
        "connections. 0: no limit. This machine's own address and those of trusted proxies are "
        "exempt; IPv6 addresses count by their first 64 bits.",
    ),
    Option(
        "MYAGENT_HEADERS_TIMEOUT_S",
        "float",
        10,
        "Seconds within which the headers of an HTTP request must arrive.",
    ),
    Option(
        "MYAGENT_BODY_TIMEOUT_S",
        "float",
        60,
        "Seconds after the headers within which the body of an HTTP request must arrive.",
    ),
    Option(
        "MYAGENT_SESSIONS_PER_CONNECTION",
        "int",
        100,
        "Sessions that one socket may be attached to. 0: no limit.",
    ),
    Option(
        "MYAGENT_QUEUE_LENGTH",
        "int",
        100,
        "Messages that may wait in a session's queue.",
    ),
    Option(
        "MYAGENT_RUN_TIMEOUT_S",
        "float",
        600.0,
        "Seconds after which a run ends as timed out.",
    ),
    Option(
        "MYAGENT_CONFIRM_TIMEOUT_S",
        "float",
        300.0,
        "Seconds after which an unanswered confirmation counts as declined.",
    ),
    Option(
        "MYAGENT_CANCEL_GRACE_S",
        "float",
        4.0,
        "Seconds that a cancelled run may take to stop before it is abandoned.",
    ),
    Option(
        "MYAGENT_SESSION_TIMEOUT_S",
        "float",
        1800.0,
        "Seconds after which an idle session without a socket leaves the server's memory.",
    ),
    Option(
        "MYAGENT_LIVE_SESSIONS",
        "int",
        20_000,
        "Sessions in a server's memory. Above it idle ones without a socket leave early; at twice "
        "as many no new one is started.",
    ),
    Option(
        "MYAGENT_LIVE_TOKENS",
        "int",
        25_000_000,
        "Estimated tokens of the histories of all sessions in a server's memory, some 10 bytes "
        "each, of short messages 30. Above it idle sessions without a socket leave early.",
    ),
    Option(
        "MYAGENT_CONTEXT_TOKENS",
        "int",
        96_000,
        "Estimated tokens of history that a model is given; above that the oldest turns are left "
        "out.",
    ),
    Option(
        "MYAGENT_TRACING",
        "bool",
        True,
        "Whether traces record what happens inside runs. Off: nothing new is recorded.",
    ),
    Option(
        "MYAGENT_TRACE_CONTENT",
        "str",
        "on",
        "What traces show of messages, arguments and results: all (`on`), what "
        "MYAGENT_TRACE_REDACT leaves of them (`redacted`), or nothing (`off`). It holds for traces "
        "that begin from now on; the conversation itself is not affected.",
        choices=("on", "redacted", "off"),
    ),
    Option(
        "MYAGENT_TRACE_REDACT",
        "str",
        "",
        "A Python function, as `package.module.function`, that takes a text and returns what "
        "traces show of it. Empty: nothing but a mark that there was one.",
    ),
    Option(
        "MYAGENT_TRACE_DAYS",
        "int",
        30,
        "Days after which servers remove the trace of a run that has ended. 0: never.",
    ),
    Option(
        "MYAGENT_TRACE_SPANS",
        "int",
        0,
        "Steps (spans) that traces keep in all, a million of which take half a GB or more: beyond "
        "that servers remove the oldest traces of runs that have ended. 0: no limit.",
    ),
    Option(
        "MYAGENT_CURRENCY",
        "str",
        "USD",
        "The currency of the prices of models, as traces show it.",
    ),
    Option(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "str",
        "",
        "Where finished traces are sent by OTLP over HTTP, as `http://HOST:4318`; `/v1/traces` is "
        "added. Empty: nowhere. Needs the extra `otel`.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "str",
        "",
        "The same as a whole address, to which nothing is added; it takes precedence.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_HEADERS",
        "str",
        "",
        "Headers that are sent along, as `NAME=VALUE,NAME=VALUE` with values encoded as in "
        "addresses. They are secrets: no worker gets the site's.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "str",
        "",
        "The same for traces alone; they replace the others.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "str",
        "http/protobuf",
        "How they are sent; the site knows `http/protobuf` only.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "str",
        "none",
        "How what is sent is compressed: `none` or `gzip`.",
        is_standard=True,
    ),
    Option(
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "str",
        "",
        "File with the certificates (PEM) that a receiver is trusted by. Empty: the system's.",
        is_standard=True,
    ),
    Option(
        "OTEL_TRACES_EXPORTER",
        "list",
        ["otlp"],
        "`otlp`, or `none`: traces are not sent, whatever the endpoint. The site has no other.",
        is_standard=True,
    ),
    Option(
        "OTEL_SERVICE_NAME",
        "str",
        "",
        "`service.name` of all traces that are sent. Empty: the name of each one's service.",
        is_standard=True,
    ),
    Option(
        "OTEL_RESOURCE_ATTRIBUTES",
        "str",
        "",
        "Further attributes of all traces that are sent, as "
        "`deployment.environment.name=production,KEY=VALUE`.",
        is_standard=True,
    ),
    Option(
        "MYAGENT_TRACE_EXPORT_WAIT_S",
        "float",
        86_400.0,
        "Seconds for which finished traces wait for a receiver that is away; then they are not "
        "sent any more.",
    ),
    Option(
        "MYAGENT_WORKER_WAIT_S",
        "float",
        60.0,
        "Seconds that answers wait for a worker of their service; then they end as errors.",
    ),
    Option(
        "MYAGENT_WORKER_STUCK_S",
        "float",
        60.0,
        "Seconds without a sign of life after which a worker is ended and replaced.",
    ),
    Option("MYAGENT_LEASE_S", "float", 15.0, "Seconds for which a server's lease is valid."),
    Option(
        "MYAGENT_RENEW_S",
        "float",
        5.0,
        "Seconds between a lease's renewals, at most a third of MYAGENT_LEASE_S.",
    ),
    Option(
        "MYAGENT_ADOPT_S", "float", 2.0, "Seconds between searches for runs whose server is gone."
    ),
    Option(
        "MYAGENT_OWNER_IDLE_S",
        "float",
        60.0,
        "Seconds without an entry after which another server, if a client asks it for a session "
        "that is at rest, takes it from its owner.",
    ),
    Option(
        "MYAGENT_INBOX_DEADLINE_S",
        "float",
        30.0,
        "Seconds for which a request to the owner of a session, another server, may wait; then "
        "the client gets `service_unavailable`.",
    ),
    Option(
        "MYAGENT_SHUTDOWN_GRACE_S",
        "float",
        30.0,
        "Seconds that runs may take to finish after SIGTERM; then they are left to be continued.",
    ),
    Option(
        "MYAGENT_HEARTBEAT_S",
        "float",
        25.0,
        "Seconds of silence before a heartbeat is sent.",
    ),
    Option(
        "MYAGENT_OUTBOX_CHARACTERS",
        "int",
        2 * 1024 * 1024,
        "Characters that may wait for one slow socket; beyond that it reads from the log.",
    ),
    Option(
        "MYAGENT_OUTBOXES_CHARACTERS",
        "int",
        64 * 1024 * 1024,
        "Characters that may wait for all slow sockets of a process together; above that each "
        "socket may still have 65536.",
    ),
    Option(
        "MYAGENT_SLOW_CLIENT_S",
        "float",
        20.0,
        "Seconds without progress after which a slow socket is closed with 4008.",
    ),
    Option(
        "MYAGENT_EXTERNAL_ANSWER_S",
        "float",
        30.0,
        "Seconds that a service elsewhere has to begin a session or to refuse it.",
    ),
    Option(
        "MYAGENT_BARRIER",
        "str",
        "",
        "For crash tests, as `POINT=FILE`: the file to create, and a point such as `before "
        "agent.final_answer`, `within` or `after user.message` at which the writer of the log "
        "stops forever, or `before migration 7` (`after` …, `before migration end`) for `migrate`.",
    ),
)
