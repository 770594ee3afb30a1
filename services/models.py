"""The services, the instances launched for them, health checks, and rules of routing."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from services import fields
from services.telling import told


class Service(models.Model):
    """An agent file to be kept running, or the address of an external service.

    People set `desired`, `replicas` and the configuration, through `services.catalogue.registry`
    and `services.control`; `status`, `error_message`, `restart_count`, `started_at`,
    `last_health_check` and `agent`, the newest worker's description of its agent, are what the
    supervisor observed.

    `host` and `port`: where a server listens for this service alone. `python`: the interpreter of
    its workers; the site's own if empty.

    `revision` grows with every change that may be waited for (see `services.doorbell`);
    `generation`, with every restart that is requested: instances of an older one are to be
    replaced. Failures before `cleared_at` do not count. `environment` is encrypted (see
    `services.catalogue.secrets`).
    """

    class Desired(models.TextChoices):
        RUNNING = "running", gettext_lazy("running")
        STOPPED = "stopped", gettext_lazy("stopped")

    class Status(models.TextChoices):
        STOPPED = "stopped", gettext_lazy("stopped")
        STARTING = "starting", gettext_lazy("starting")
        RUNNING = "running", gettext_lazy("running")
        UNHEALTHY = "unhealthy", gettext_lazy("unhealthy")
        STOPPING = "stopping", gettext_lazy("stopping")
        ERROR = "error", gettext_lazy("error")

    id = models.CharField(max_length=36, primary_key=True)
    name = models.CharField(gettext_lazy("name"), max_length=fields.MAX_NAME, unique=True)
    description = models.TextField(gettext_lazy("description"), blank=True, default="")
    agent_factory_path = models.CharField(
        gettext_lazy("agent file"), max_length=fields.MAX_PATH, blank=True, default=""
    )
    url = models.CharField(
        gettext_lazy("address of an external service"),
        max_length=fields.MAX_URL,
        blank=True,
        default="",
    )
    host = models.CharField(gettext_lazy("host"), max_length=fields.MAX_HOST, default="localhost")
    port = models.PositiveIntegerField(gettext_lazy("port"), null=True, blank=True)
    tags = models.JSONField(gettext_lazy("tags"), default=list, blank=True)
    replicas = models.PositiveIntegerField(gettext_lazy("replicas"), default=1)
    weight = models.PositiveIntegerField(gettext_lazy("weight"), default=1)
    auto_start = models.BooleanField(gettext_lazy("start at registration"), default=False)
    auto_restart = models.BooleanField(gettext_lazy("restart after a crash"), default=True)
    max_restart_count = models.PositiveIntegerField(gettext_lazy("restarts at most"), default=5)
    restart_delay_s = models.FloatField(gettext_lazy("first delay of a restart (s)"), default=1.0)
    max_sessions = models.PositiveIntegerField(
        gettext_lazy("sessions at most"), null=True, blank=True
    )
    session_timeout_s = models.FloatField(
        gettext_lazy("idle sessions leave memory after (s)"), null=True, blank=True
    )
    memory_limit_mb = models.PositiveIntegerField(
        gettext_lazy("memory limit (MB)"), null=True, blank=True
    )
    environment = models.TextField(gettext_lazy("environment"), blank=True, default="")
    python = models.CharField(
        gettext_lazy("interpreter"), max_length=fields.MAX_PATH, blank=True, default=""
    )

    desired = models.CharField(
        gettext_lazy("desired"), max_length=16, choices=Desired.choices, default=Desired.STOPPED
    )
    generation = models.PositiveIntegerField(default=1)
    revision = models.PositiveBigIntegerField(default=1)
    cleared_at = models.DateTimeField(null=True)
    unregistered_at = models.DateTimeField(null=True)

    status = models.CharField(
        gettext_lazy("status"), max_length=16, choices=Status.choices, default=Status.STOPPED
    )
    error_message = models.TextField(gettext_lazy("error"), blank=True, default="")
    restart_count = models.PositiveIntegerField(gettext_lazy("restarts"), default=0)
    started_at = models.DateTimeField(gettext_lazy("started"), null=True)
    last_health_check = models.DateTimeField(gettext_lazy("last health check"), null=True)
    agent = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(gettext_lazy("registered"), auto_now_add=True)
    updated_at = models.DateTimeField(gettext_lazy("changed"), auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name = gettext_lazy("service")
        verbose_name_plural = gettext_lazy("services")
        permissions = [
            ("use_service", "Can use the agents of services"),
            ("control_service", "Can start, stop and restart services"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_external(self) -> bool:
        """Whether it runs elsewhere: nothing is launched for it."""
        return bool(self.url)


class Instance(models.Model):
    """One worker launched for a service.

    `slot` is its place among the service's workers; `live_slot` repeats it while the process may
    live, so that the database refuses a second one in the same place. `kept_by`: the `Supervisor`
    that keeps it beside the replicas; empty for a replica, which the machine's supervisor keeps.
    `process` names the operating-system process (see `agents.runtime.process`) once it is known;
    `node`, the machine whose supervisor launched it. It listens at
    `agents.runs.worker_process.Paths` there; `address` is where other machines reach it, as
    tcp://HOST:PORT, if they can (see `agents.runs.remote`). `report` is what it last reported:
    `running`, `sessions` and `abandoned`, with the worst `lag_ms` since the check before.
    """

    class State(models.TextChoices):
        STARTING = "starting", gettext_lazy("starting")
        RUNNING = "running", gettext_lazy("running")
        UNHEALTHY = "unhealthy", gettext_lazy("unhealthy")
        DRAINING = "draining", gettext_lazy("draining")
        STOPPING = "stopping", gettext_lazy("stopping")
        STOPPED = "stopped", gettext_lazy("stopped")
        ERROR = "error", gettext_lazy("error")

    ENDED = (State.STOPPED, State.ERROR)
    SERVING = (State.RUNNING, State.UNHEALTHY)

    class Cause(models.TextChoices):
        """Why it was asked to end, or ended without being asked."""

        NONE = ""
        STOP = "stop"
        SCALE = "scale"
        RESTART = "restart"
        MEMORY = "memory"
        UNHEALTHY = "unhealthy"
        START_TIMEOUT = "start_timeout"
        CRASH = "crash"
        CONFIGURATION = "configuration"

    id = models.CharField(max_length=36, primary_key=True)
    service = models.ForeignKey(Service, models.CASCADE, related_name="instances")
    slot = models.PositiveIntegerField()
    live_slot = models.PositiveIntegerField(null=True)
    generation = models.PositiveIntegerField()
    state = models.CharField(
        gettext_lazy("state"), max_length=16, choices=State.choices, default=State.STARTING
    )
    state_since = models.DateTimeField()
    cause = models.CharField(max_length=16, choices=Cause.choices, default=Cause.NONE, blank=True)
    node = models.CharField(max_length=191)
    kept_by = models.CharField(max_length=191, default="", blank=True)
    process = models.CharField(max_length=191, default="")
    address = models.CharField(max_length=255, default="", blank=True)
    pid = models.PositiveIntegerField(null=True)
    report = models.JSONField(default=dict)
    content_hash = models.CharField(max_length=64, default="")
    version = models.CharField(max_length=64, default="")
    launched_at = models.DateTimeField()
    ready_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    exit_code = models.IntegerField(null=True)
    error = models.TextField(default="", blank=True)
    restart_count = models.PositiveIntegerField(default=0)
    misses = models.PositiveIntegerField(default=0)
    memory_mb = models.FloatField(null=True)
    cpu_percent = models.FloatField(null=True)

    class Meta:
        ordering = ["-launched_at"]
        verbose_name = gettext_lazy("instance")
        verbose_name_plural = gettext_lazy("instances")
        constraints = [
            models.UniqueConstraint(fields=["service", "live_slot"], name="instance_slot_once"),
        ]
        indexes = [models.Index(fields=["service", "launched_at"], name="instance_by_launch")]

    def __str__(self) -> str:
        return f"{self.service_id}/{self.slot} ({self.state})"

    @property
    def has_ended(self) -> bool:
        return self.state in self.ENDED

    HEALTH = ("healthy", "degraded", "unhealthy", "unknown")
    """The only words for health, of an instance and of a service, best first."""

    @property
    def health(self) -> str:
        """One of `HEALTH`; `degraded`: it missed checks, but not yet too many."""
        if self.state == self.State.UNHEALTHY:
            return "unhealthy"
        if self.state not in self.SERVING:
            return "unknown"
        return "degraded" if self.misses else "healthy"


class HealthCheck(models.Model):
    """The result of one check, and the figures of the service at that time.

    `memory_mb` and `loop_lag_ms` are the process's; sessions and turns are those of the whole
    service (see `services.supervision.figures`). `instance` is null for an external service, of
    which no process is known.
    """

    service = models.ForeignKey(Service, models.CASCADE, related_name="health_checks")
    instance = models.ForeignKey(Instance, models.CASCADE, null=True, related_name="health_checks")
    checked_at = models.DateTimeField()
    is_healthy = models.BooleanField()
    latency_ms = models.FloatField(null=True)
    detail = models.TextField(default="", blank=True)
    memory_mb = models.FloatField(null=True)
    active_sessions = models.PositiveIntegerField(null=True)
    turns_per_minute = models.FloatField(null=True)
    turn_p95_ms = models.FloatField(null=True)
    loop_lag_ms = models.FloatField(null=True)

    class Meta:
        ordering = ["-checked_at"]
        indexes = [
            models.Index(fields=["service", "checked_at"], name="health_by_time"),
            models.Index(fields=["checked_at"], name="health_to_prune"),
        ]

    def __str__(self) -> str:
        checked = self.instance_id or self.service_id
        return f"{checked}: {'healthy' if self.is_healthy else self.reason}"

    @property
    def reason(self) -> str:
        """What was wrong, in the active language; empty if nothing was."""
        return told(self.detail)


class PortClaim(models.Model):
    """Locked while a port is given to a service, so that concurrent requests wait."""

    port = models.PositiveIntegerField(primary_key=True)
    claimed_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.port)


class Supervisor(models.Model):
    """The lease of a machine's supervisor, or of one that keeps a single worker of `service`.

    `node`: the machine; for a single worker, a name that starts with it. `is_automatic`: it was
    started by a command and ends when nothing is to run, or when a person starts another
    (`is_asked_to_leave`). `epoch` grows whenever another process takes the lease.
    """

    node = models.CharField(gettext_lazy("node"), max_length=191, primary_key=True)
    service = models.ForeignKey(
        Service, models.CASCADE, null=True, verbose_name=gettext_lazy("service")
    )
    process = models.CharField(gettext_lazy("process"), max_length=191)
    epoch = models.PositiveIntegerField(default=1)
    is_automatic = models.BooleanField(gettext_lazy("automatic"), default=False)
    is_asked_to_leave = models.BooleanField(default=False)
    started_at = models.DateTimeField(gettext_lazy("started at"))
    lease_until = models.DateTimeField(gettext_lazy("lease until"))
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = gettext_lazy("supervisor")
        verbose_name_plural = gettext_lazy("supervisors")

    def __str__(self) -> str:
        return f"{self.node} ({self.process})"


class RoutingRule(models.Model):
    """Which services new clients are sent to, if they name none (see `services.routing`).

    People set rules through `services.routing.rulebook`, which checks them. `conditions`: objects
    with `field`, `operator`, `value` and `case_sensitive`.
    """

    id = models.CharField(max_length=36, primary_key=True)
    name = models.CharField(gettext_lazy("name"), max_length=fields.MAX_NAME, unique=True)
    description = models.TextField(gettext_lazy("description"), blank=True, default="")
    priority = models.PositiveIntegerField(gettext_lazy("priority"), default=100)
    weight = models.PositiveIntegerField(gettext_lazy("weight"), default=1)
    enabled = models.BooleanField(gettext_lazy("enabled"), default=True)
    conditions = models.JSONField(gettext_lazy("conditions"), default=list, blank=True)
    target_strategy = models.CharField(
        gettext_lazy("strategy"), max_length=32, default="round_robin"
    )
    target_services = models.JSONField(gettext_lazy("services"), default=list, blank=True)
    target_tags = models.JSONField(gettext_lazy("tags"), default=list, blank=True)
    fallback_strategy = models.CharField(
        gettext_lazy("fallback strategy"), max_length=32, blank=True, default=""
    )
    created_at = models.DateTimeField(gettext_lazy("created"), auto_now_add=True)
    updated_at = models.DateTimeField(gettext_lazy("changed"), auto_now=True)

    class Meta:
        ordering = ["priority", "-weight", "name"]
        verbose_name = gettext_lazy("routing rule")
        verbose_name_plural = gettext_lazy("routing rules")

    def __str__(self) -> str:
        return self.name
