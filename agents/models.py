"""The log of sessions: the single source of truth."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from agents import principals
from agents.titles import MAX_TITLE

LEASE_HOLDS = Q(ended_at__isnull=True, lease_until__gt=Now())
"""The lease is valid by the database's clock, and its server or supervisor has not ended."""


def digest_of(text: str) -> str:
    """Stands for a text in comparisons: MySQL ignores case and trailing blanks."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


class Server(models.Model):
    """A process that holds sockets and sessions: its lease and its report.

    `process` identifies the operating-system process (see `agents.runtime.process`); the lease is
    by the database's clock, and not over at `ended_at` if the server left by itself. Until
    `judges_from` it considers no other server dead by an expired lease alone. `address` is where
    clients on its machine reach it; empty if that is not known. A server of a single agent file has
    its `service` and `source`, the path of the file.
    """

    id = models.CharField(max_length=36, primary_key=True)
    service = models.CharField(max_length=100, default="", db_index=True)
    host = models.CharField(max_length=191)
    port = models.PositiveIntegerField(default=0)
    address = models.CharField(max_length=191, default="")
    process = models.CharField(max_length=191)
    source = models.CharField(max_length=1024, default="")
    version = models.CharField(max_length=64, default="")
    started_at = models.DateTimeField()
    lease_until = models.DateTimeField()
    judges_from = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    report = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.service or 'the site'} at {self.host}:{self.port}"


class Connection(models.Model):
    """A socket that is open at a server.

    Written up to a second late. `service`: the one that the client addressed, else that of its
    first session; '' before that. `principal`: the client's key, as in `Session`. `is_to_close`:
    somebody wants the server to close it.
    """

    id = models.CharField(max_length=36, primary_key=True)
    # Its constraint would lock the server's row at every batch.
    server = models.ForeignKey(
        Server,
        models.CASCADE,
        related_name="connections",
        db_constraint=False,
        db_index=False,
        verbose_name=gettext_lazy("server"),
    )
    service = models.CharField(gettext_lazy("service"), max_length=100, default="")
    path = models.CharField(gettext_lazy("path"), max_length=191)
    address = models.CharField(gettext_lazy("client's address"), max_length=64)
    user_agent = models.CharField(gettext_lazy("program"), max_length=191, default="")
    principal = models.CharField(gettext_lazy("client"), max_length=principals.MAX_KEY, default="")
    opened_at = models.DateTimeField(gettext_lazy("connected"))
    is_to_close = models.BooleanField(default=False)

    class Meta:
        ordering = ["-opened_at", "pk"]
        verbose_name = gettext_lazy("connection")
        verbose_name_plural = gettext_lazy("connections")
        indexes = [models.Index(fields=["server", "is_to_close"], name="connection_by_server")]

    def __str__(self) -> str:
        return self.id


class Session(models.Model):
    """A conversation. `owner` and `epoch` determine who may write to its log.

    `epoch` grows with every change of ownership; a writer with an older one is refused. `last_seq`
    is the end of the log. `principal`: the key of its creator (see `agents.principals`); '' if
    nobody had to authenticate. `title`: the first words of its first message, unless somebody
    renamed it.
    """

    class CloseReason(models.TextChoices):
        CLOSED = "closed"
        EXPIRED = "expired"
        ADMIN = "admin"

    id = models.CharField(max_length=36, primary_key=True)
    service = models.CharField(max_length=100)
    lang = models.CharField(max_length=16, default="en")
    tags = models.JSONField(default=list)
    client = models.JSONField(default=dict)
    title = models.CharField(max_length=MAX_TITLE, default="", db_default="")
    principal = models.CharField(max_length=principals.MAX_KEY, default="")
    owner = models.ForeignKey(Server, on_delete=models.SET_NULL, null=True, related_name="sessions")
    epoch = models.PositiveIntegerField(default=1)
    last_seq = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    close_reason = models.CharField(max_length=16, choices=CloseReason.choices, default="")

    class Meta:
        verbose_name = gettext_lazy("conversation")
        verbose_name_plural = gettext_lazy("conversations")
        indexes = [
            models.Index(fields=["service"], name="session_by_service"),
            models.Index(fields=["principal", "updated_at"], name="session_by_principal_change"),
            models.Index(fields=["updated_at"], name="session_by_change"),
        ]
        permissions = [
            ("see_conversations", "Can see everybody's conversations"),
            ("join_conversations", "Can take part in everybody's conversations"),
        ]

    def __str__(self) -> str:
        return self.id


class Run(models.Model):
    """The processing of one accepted message.

    `position` orders the queue: the `seq` of the message, negative for a message that was put ahead
    of the queue. `message_key` stands for `message_id` in comparisons (see `key_of`). `ordinal`
    numbers the runs of a session in the order in which they started; null until the run starts.
    `attempts`: how often it was begun, or continued after an interruption; 0: it was only written
    down (see `agents.log.forking`).
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        ANSWERED = "answered"
        FAILED = "failed"
        INTERRUPTED = "interrupted"
        TIMED_OUT = "timed_out"

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

    id = models.CharField(max_length=36, primary_key=True)
    # Its constraint is its index.
    session = models.ForeignKey(Session, models.CASCADE, related_name="runs", db_index=False)
    message_id = models.CharField(max_length=64)
    message_key = models.CharField(max_length=32)
    accepted_seq = models.PositiveBigIntegerField()
    position = models.BigIntegerField()
    ordinal = models.PositiveBigIntegerField(null=True)
    status = models.CharField(max_length=16, choices=Status.choices)
    accepted_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "message_key"], name="run_message_once"),
        ]
        indexes = [
            models.Index(fields=["status"], name="run_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.id} ({self.status})"

    @staticmethod
    def key_of(message_id: str) -> str:
        """See `digest_of`."""
        return digest_of(message_id)


class Event(models.Model):
    """An entry of a session's log. Entries are only ever added.

    `payload` is the JSON object `{"content": …, "metadata": …}` as clients see
    it; `message`, the JSON of the chat message that the entry adds to the
    model's context, which no client sees. `epoch` tells which owner wrote it.
    """

    # Its constraint is its index.
    session = models.ForeignKey(Session, models.CASCADE, related_name="events", db_index=False)
    seq = models.PositiveBigIntegerField()
    epoch = models.PositiveIntegerField()
    run = models.ForeignKey(
        Run, models.CASCADE, null=True, related_name="events", db_constraint=False, db_index=False
    )
    event = models.CharField(max_length=64)
    step_id = models.CharField(max_length=64, default="")
    created_at = models.DateTimeField()
    payload = models.TextField()
    message = models.TextField(null=True)  # noqa: DJ001 - null means 'adds nothing to the context'

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="event_seq_once"),
        ]

    def __str__(self) -> str:
        return f"{self.session_id}:{self.seq} {self.event}"

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = orjson.loads(self.payload)["metadata"]
        return metadata


class ExternalSession(models.Model):
    """A session of an external service that a client has opened through the site.

    Nothing of what is said in it is kept. `key` stands for its id (see `digest_of`);
    `principal`: the key of its creator, as in `Session`; `used_at`: when it was created, resumed or
    last talked in, to an hour.
    """

    key = models.CharField(max_length=32, primary_key=True)
    service = models.CharField(max_length=100, db_index=True)
    principal = models.CharField(max_length=principals.MAX_KEY, default="")
    used_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key} at {self.service}"


class Occupancy(models.Model):
    """How many conversations a server holds of a service whose number is limited.

    Counted are those with a client or an unfinished run. See `agents.limits.places`.
    """

    # Its constraint would lock the server's row; the one below is its index.
    server = models.ForeignKey(
        Server,
        models.CASCADE,
        related_name="occupancies",
        db_constraint=False,
        db_index=False,
    )
    service = models.CharField(max_length=100)
    sessions = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "service"], name="occupancy_once"),
        ]

    def __str__(self) -> str:
        return f"{self.sessions} of {self.service} at {self.server_id}"


class Follower(models.Model):
    """A server with clients in a session that another server owns.

    Owners ring, and send previews of text, only where somebody follows.
    """

    server_id = models.CharField(max_length=36)
    session = models.ForeignKey(
        Session, models.CASCADE, related_name="followers", db_constraint=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server_id", "session"], name="follower_once"),
        ]

    def __str__(self) -> str:
        return f"{self.server_id} follows {self.session_id}"


class InboxRow(models.Model):
    """A request to whichever server owns the session, or a notice to one server.

    `follower` wrote it, as its `number`-th row. `payload` is the JSON of the client's event, with
    what makes it idempotent; `principal` and `acts_everywhere` tell who the client is. `epoch`:
    under which it was taken. `answer`: JSON of what has no place in the log; '' if nothing has.
    A notice has an `addressee`, and tells it that it does not own the session from `epoch` on.
    See `agents.ownership.decisions` for its states.
    """

    class Kind(models.TextChoices):
        REQUEST = "request"
        LOST = "lost"

    class State(models.TextChoices):
        NEW = "new"
        TAKEN = "taken"
        DONE = "done"
        EXPIRED = "expired"

    follower = models.CharField(max_length=36)
    number = models.PositiveBigIntegerField()
    addressee = models.CharField(max_length=36, default="")
    # No constraint: it would lock the session's row, and a session may be pruned meanwhile.
    session = models.ForeignKey(
        Session, models.CASCADE, related_name="requests", db_constraint=False
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    payload = models.TextField(default="")
    principal = models.CharField(max_length=principals.MAX_KEY, default="")
    acts_everywhere = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.NEW)
    epoch = models.PositiveIntegerField(default=0)
    deadline = models.DateTimeField()
    answer = models.TextField(default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["follower", "number"], name="inbox_row_once"),
        ]
        indexes = [models.Index(fields=["state", "deadline"], name="inbox_by_state")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.follower} about {self.session_id} ({self.state})"
