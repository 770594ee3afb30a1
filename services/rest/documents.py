"""The schemas of responses, for the documentation.

`services.views.describing` makes the responses.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from agents.models import Run
from services.models import Instance, Service
from services.rest.fields import WithUnderscores
from services.views.observers import UNKNOWN

Answer = serializers.Serializer[Any]

STATUSES = [*Service.Status.choices, (UNKNOWN, UNKNOWN)]
STATES = [*Instance.State.choices, (UNKNOWN, UNKNOWN)]


def _time(help_text: str = "") -> serializers.DateTimeField:
    return serializers.DateTimeField(allow_null=True, help_text=help_text)


class ErrorSerializer(WithUnderscores):
    detail = serializers.CharField(help_text="A sentence for people.")
    code = serializers.RegexField("^[a-z_]+$", help_text="For programs.")
    field = serializers.CharField(required=False, help_text="The field that is wrong.")
    fields_ = serializers.DictField(
        child=serializers.CharField(), required=False, help_text="What is wrong with each field."
    )
    limit = serializers.RegexField(
        "^[a-z_]+$", required=False, help_text="The name of the limit that was reached."
    )
    retry_after_s = serializers.IntegerField(
        min_value=1, required=False, help_text="Seconds after which the request may be granted."
    )


class ConfigSerializer(Answer):
    max_sessions = serializers.IntegerField(allow_null=True)
    session_timeout_s = serializers.FloatField(allow_null=True)
    auto_restart = serializers.BooleanField()
    max_restart_count = serializers.IntegerField()
    restart_delay_s = serializers.FloatField()
    memory_limit_mb = serializers.IntegerField(allow_null=True)
    python = serializers.CharField(help_text="Its interpreter; empty: the site's own.")


class ServiceSerializer(Answer):
    service_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    agent_factory_path = serializers.CharField(help_text="Empty for an external service.")
    url = serializers.CharField(help_text="The address of an external service, else empty.")
    host = serializers.CharField()
    port = serializers.IntegerField(allow_null=True)
    own_port_error = serializers.CharField(
        help_text="Why nobody can be reached at its own port; empty if it is open, or has none."
    )
    endpoint = serializers.CharField(help_text="Its address, whether or not it runs.")
    tags = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(
        STATUSES, help_text="What is observed; `unknown` where no supervisor has looked for long."
    )
    observed_at = _time("When a supervisor last looked.")
    desired = serializers.ChoiceField(Service.Desired.choices, help_text="What is asked for.")
    replicas = serializers.IntegerField()
    weight = serializers.IntegerField()
    auto_start = serializers.BooleanField()
    created_at = _time()
    started_at = _time()
    last_health_check = _time()
    error_message = serializers.CharField()
    restart_count = serializers.IntegerField()
    config = ConfigSerializer()


class InstanceSerializer(Answer):
    instance_id = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    observed_at = _time("When its supervisor last looked.")
    pid = serializers.IntegerField(allow_null=True)
    host = serializers.CharField(help_text="The machine that it runs on.")
    address = serializers.CharField(
        help_text="Where servers on other machines reach it; empty if they can't."
    )
    supervisor = serializers.CharField(
        help_text="Its machine; another name for one that runagent --service keeps by itself."
    )
    port = serializers.IntegerField(allow_null=True, help_text="null: servers have the ports.")
    endpoint = serializers.CharField(help_text="The service's address.")
    started_at = _time("When it became ready.")
    restart_count = serializers.IntegerField()
    active_sessions = serializers.IntegerField(
        allow_null=True, help_text="Conversations whose agent it keeps."
    )
    memory_mb = serializers.FloatField(allow_null=True)
    cpu_percent = serializers.FloatField(allow_null=True)
    loop_lag_ms = serializers.FloatField(allow_null=True)
    health = serializers.ChoiceField(Instance.HEALTH)
    error = serializers.CharField()
    version = serializers.CharField()


class CheckSerializer(Answer):
    instance_id = serializers.CharField(
        allow_null=True, help_text="null: a check of an external service."
    )
    checked_at = _time()
    is_healthy = serializers.BooleanField()
    latency_ms = serializers.FloatField(allow_null=True)
    detail = serializers.CharField(help_text="What was wrong; empty if nothing.")
    memory_mb = serializers.FloatField(allow_null=True)
    active_sessions = serializers.IntegerField(
        allow_null=True, help_text="Of the service as a whole, as are turns."
    )
    turns_per_minute = serializers.FloatField(allow_null=True)
    turn_p95_ms = serializers.FloatField(allow_null=True)
    loop_lag_ms = serializers.FloatField(allow_null=True)


class HealthCountsSerializer(Answer):
    healthy = serializers.IntegerField()
    degraded = serializers.IntegerField(help_text="Missed checks, but not enough to give it up.")
    unhealthy = serializers.IntegerField()
    unknown = serializers.IntegerField()
    total = serializers.IntegerField()


class HealthSerializer(Answer):
    service_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(Instance.HEALTH, help_text="How all of it is together.")
    service_status = serializers.ChoiceField(STATUSES)
    observed_at = _time("When a supervisor last looked.")
    error_message = serializers.CharField()
    last_health_check = _time()
    summary = HealthCountsSerializer()
    instances = InstanceSerializer(many=True)
    checks = CheckSerializer(many=True)


class LogSerializer(Answer):
    service_id = serializers.CharField()
    instance_id = serializers.CharField(allow_null=True, help_text="null: none was ever started.")
    lines = serializers.ListField(child=serializers.CharField(), help_text="Oldest first.")


class RunCountsSerializer(Answer):
    def get_fields(self) -> dict[str, Any]:
        return {status: serializers.IntegerField() for status in Run.Status.values}


class ServiceStatsSerializer(Answer):
    service_id = serializers.CharField()
    name = serializers.CharField()
    status = serializers.ChoiceField(STATUSES)
    instances = serializers.IntegerField()
    active_sessions = serializers.IntegerField()
    running_turns = serializers.IntegerField()
    active_connections = serializers.IntegerField()
    turns_per_minute = serializers.FloatField()
    turn_p95_ms = serializers.FloatField()
    memory_mb = serializers.FloatField()
    restart_count = serializers.IntegerField()
    sessions = serializers.IntegerField(help_text="Stored conversations.")
    runs_last_day = RunCountsSerializer()


class ServiceCountsSerializer(Answer):
    def get_fields(self) -> dict[str, Any]:
        return {name: serializers.IntegerField() for name in ("total", *Service.Status.values)}


class ConnectionCountsSerializer(Answer):
    total_connections = serializers.IntegerField()


class SessionCountsSerializer(Answer):
    active = serializers.IntegerField()
    running = serializers.IntegerField()
    stored = serializers.IntegerField()


class StatsSerializer(Answer):
    services = ServiceCountsSerializer()
    connections = ConnectionCountsSerializer()
    sessions = SessionCountsSerializer()
    health = HealthCountsSerializer()


class ResourcesSerializer(Answer):
    services = serializers.URLField(help_text="The services: list, register.")
    rules = serializers.URLField(help_text="The rules of routing: list, add.")
    sessions = serializers.URLField(help_text="The conversations: list, begin, talk.")
    traces = serializers.URLField(help_text="What happened inside runs.")
    connections = serializers.URLField(help_text="The open connections.")
    stats = serializers.URLField(help_text="Counts of the whole site.")
    info = serializers.URLField(help_text="What this site is.")
    schema = serializers.URLField(help_text="This description, as OpenAPI.")
    docs = serializers.URLField(help_text="A page to read it and try it on.")


class InfoSerializer(Answer):
    name = serializers.CharField()
    version = serializers.CharField()
    api_version = serializers.CharField()
    database = serializers.CharField()
    auth = serializers.ChoiceField(["open", "token"])
    timestamp = serializers.DateTimeField()
