"""The schemas of requests. Only the form is checked here; the verbs check the meaning."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from services.fields import (
    FIELDS,
    MAX_DESCRIPTION,
    MAX_HOST,
    MAX_NAME,
    MAX_PATH,
    MAX_TAG,
    MAX_TAGS,
    MAX_URL,
    RANGES,
)
from services.models import Service
from services.rest.fields import Number, Strict, Text, Whole, WholeParameter, YesNo

MAX_WAIT_S = 60
MAX_LIMIT = 500
MAX_TAIL = 5000
MAX_OFFSET = 2**31 - 1

NAME_SCHEMA = {
    "type": "string",
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$",
    "maxLength": MAX_NAME,
    "description": "Unique. Letters and digits of other languages may be used too.",
}
TAGS_SCHEMA = {
    "type": "array",
    "items": {"type": "string", "pattern": rf"^[A-Za-z0-9_.:\-]{{1,{MAX_TAG}}}$"},
    "maxItems": MAX_TAGS,
    "description": "Letters and digits of other languages may be used too.",
}
ENVIRONMENT_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
    "writeOnly": True,
    "description": "Environment variables of its processes. Only those that "
    "MYAGENT_ENV_ALLOWED names. Stored encrypted and never shown; given, it replaces the whole of "
    "what was there.",
}


def within(field: str) -> dict[str, Any]:
    """The options of a number field that limit its range."""
    low, high = RANGES[field]
    return {"min_value": low, "max_value": high}


@extend_schema_field(NAME_SCHEMA)
class Name(Text):
    pass


@extend_schema_field(TAGS_SCHEMA)
class Tags(serializers.ListField):
    child = Text()

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_TAGS, **options)


@extend_schema_field(ENVIRONMENT_SCHEMA)
class Environment(serializers.DictField):
    child = Text(allow_blank=True)


class ConfigInput(Strict):
    max_sessions = Whole(
        **within("max_sessions"), allow_null=True, required=False,
        help_text="Conversations that an instance serves at once; null: the site's own limit.",
    )  # fmt: skip
    session_timeout_s = Number(
        **within("session_timeout_s"), allow_null=True, required=False,
        help_text="Seconds after which idle conversations leave memory; null: the site's own.",
    )  # fmt: skip
    auto_restart = YesNo(required=False, help_text="Whether it is started again after a crash.")
    max_restart_count = Whole(
        **within("max_restart_count"), required=False,
        help_text="Crashes in a row after which it is given up.",
    )  # fmt: skip
    restart_delay_s = Number(
        **within("restart_delay_s"), required=False,
        help_text="Seconds before the start after a second crash in a row; that after the first "
        "is at once, each further one waits longer.",
    )  # fmt: skip
    memory_limit_mb = Whole(
        **within("memory_limit_mb"), allow_null=True, required=False,
        help_text="Memory of an instance, in MB, above which it is replaced; null: no limit.",
    )  # fmt: skip
    python = Text(
        max_length=MAX_PATH, allow_blank=True, required=False,
        help_text="The interpreter that runs the agent file; empty: the site's own. Another one "
        "can't be chosen over the network.",
    )  # fmt: skip


class ServiceInput(ConfigInput):
    name = Name(max_length=MAX_NAME)
    agent_factory_path = Text(
        max_length=MAX_PATH, allow_blank=True, required=False,
        help_text="The agent file: absolute, or relative to a folder of MYAGENT_AGENT_DIRS. It "
        "must lie below one of these.",
    )  # fmt: skip
    url = Text(
        max_length=MAX_URL, allow_blank=True, required=False,
        help_text="Instead of an agent file: the ws:// or wss:// address of a service elsewhere.",
    )  # fmt: skip
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, required=False)
    tags = Tags(required=False)
    host = Text(
        max_length=MAX_HOST, required=False,
        help_text="The name or address that a server listens on for it alone, if it has a port.",
    )  # fmt: skip
    port = Whole(
        **within("port"), allow_null=True, required=False,
        help_text="A port on which a server listens for it alone; null: none.",
    )  # fmt: skip
    replicas = Whole(**within("replicas"), required=False)
    weight = Whole(**within("weight"), required=False)
    auto_start = YesNo(required=False, help_text="Whether it is started when it is registered.")
    environment = Environment(required=False)
    config = ConfigInput(
        required=False, help_text="The way the fields are shown; one beside it goes first."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = attrs.pop("config", {})
        return config | attrs


def with_defaults(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with the defaults of a new service for those left out."""
    left_out = [name for name in FIELDS if name not in ("name", *fields)]
    new = Service()
    return {name: getattr(new, name) for name in left_out} | dict(fields)


def query_of(
    request: Request, form: type[serializers.Serializer[Any]], *, beside: Iterable[str] = ()
) -> dict[str, Any]:
    """The query parameters. Raises `ValidationError`, also for unknown ones.

    `beside`: names of parameters that are read elsewhere.
    """
    refuse_unread(request, {*form().fields, *beside})
    # In a form, a parameter without a value would count as omitted.
    query = form(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    return dict(query.validated_data)


def refuse_unread(request: Request, names: Collection[str]) -> None:
    """Raises `ValidationError` for unknown parameters, so that typing errors are noticed."""
    if unknown := sorted(set(request.query_params) - set(names)):
        said = gettext("There is no such parameter.")
        raise serializers.ValidationError({name: [said] for name in unknown})


class WaitQuery(serializers.Serializer[Any]):
    wait = WholeParameter(
        min_value=0, max_value=MAX_WAIT_S, default=0,
        help_text="Seconds to wait until it got there; 0 does not wait.",
    )  # fmt: skip


class PageQuery(serializers.Serializer[Any]):
    limit = WholeParameter(min_value=1, max_value=MAX_LIMIT, default=50, help_text="Items at most.")
    offset = WholeParameter(
        min_value=0, max_value=MAX_OFFSET, default=0, help_text="Items to leave out."
    )


class HealthQuery(serializers.Serializer[Any]):
    limit = WholeParameter(
        min_value=1, max_value=MAX_LIMIT, default=20, help_text="Checks at most, newest first."
    )


class LogQuery(serializers.Serializer[Any]):
    tail = WholeParameter(
        min_value=1, max_value=MAX_TAIL, default=100, help_text="Lines at most, the last ones."
    )
    instance = serializers.RegexField(
        r"^[A-Za-z0-9-]{1,36}$", required=False,
        help_text="The instance whose log it is; left out: the one that was started last.",
    )  # fmt: skip


class InstancesQuery(serializers.Serializer[Any]):
    which = serializers.ChoiceField(
        ["live", "all"], default="live", help_text="`all`: those that have ended as well."
    )
