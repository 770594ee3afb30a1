"""The schemas of requests and responses about routing. The verbs check the meaning."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_field
from rest_framework import serializers

from services.fields import MAX_DESCRIPTION, MAX_NAME
from services.rest.fields import Strict, Text, Whole, YesNo
from services.rest.inputs import Tags, within
from services.routing import rule_fields
from services.routing.rule_fields import MAX_CONDITIONS, MAX_FIELD, MAX_TARGETS
from services.routing.rules import Operator, Strategy

Answer = serializers.Serializer[Any]

MAX_FACT = 2048

STRATEGIES = [each.value for each in Strategy]

ID = OpenApiParameter(
    "id",
    {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
    OpenApiParameter.PATH,
    description="The rule_id, or the name.",
    examples=[OpenApiExample("A name", "vip")],
)


@extend_schema_field(
    {
        "description": "A text; a list of texts for in_list, not_in_list and cidr; true or false "
        "for exists.",
        "oneOf": [
            {"type": "string", "maxLength": rule_fields.MAX_VALUE},
            {"type": "array", "items": {"type": "string"}, "maxItems": rule_fields.MAX_VALUES},
            {"type": "boolean"},
        ],
    }
)
class Value(serializers.JSONField):
    """Any JSON value: its condition's operator decides which are right."""


class ConditionSchema(Strict):
    field = Text(
        max_length=MAX_FIELD,
        help_text="client_ip, user_agent, path, user, header.NAME, query.NAME or metadata.NAME",
    )
    operator = serializers.ChoiceField([each.value for each in Operator])
    value = Value(required=False, allow_null=True)
    case_sensitive = YesNo(default=True)


class RuleInput(Strict):
    name = Text(max_length=MAX_NAME, help_text="Unique.")
    description = Text(max_length=MAX_DESCRIPTION, allow_blank=True, required=False)
    priority = Whole(
        min_value=0, max_value=rule_fields.MAX_PRIORITY, required=False,
        help_text="The lowest number comes first; 100 if left out.",
    )  # fmt: skip
    weight = Whole(
        **within("weight"), required=False,
        help_text="Of rules with the same priority, the highest comes first; 1 if left out.",
    )  # fmt: skip
    enabled = YesNo(required=False)
    conditions = ConditionSchema(  # type: ignore[call-arg]
        many=True, max_length=MAX_CONDITIONS, required=False, help_text="All of them must hold."
    )
    target_strategy = serializers.ChoiceField(
        STRATEGIES, required=False, help_text="How one of its services is chosen; round_robin."
    )
    target_services = serializers.ListField(
        child=Text(max_length=MAX_NAME), max_length=MAX_TARGETS, required=False,
        help_text="Names; only these are candidates. Empty: all are.",
    )  # fmt: skip
    target_tags = Tags(required=False, help_text="Candidates have all of them.")
    fallback_strategy = serializers.ChoiceField(
        STRATEGIES, required=False, allow_null=True,
        help_text="If the strategy can't choose, or, then among all services, none of the rule's "
        "own runs.",
    )  # fmt: skip


class RuleSerializer(Answer):
    rule_id = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    priority = serializers.IntegerField()
    weight = serializers.IntegerField()
    enabled = serializers.BooleanField()
    conditions = ConditionSchema(many=True)
    target_strategy = serializers.ChoiceField(STRATEGIES)
    target_services = serializers.ListField(child=serializers.CharField())
    target_tags = serializers.ListField(child=serializers.CharField())
    fallback_strategy = serializers.ChoiceField(STRATEGIES, allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="Why it can have no effect as things are."
    )


@extend_schema_field({"type": "object", "additionalProperties": True})
class Facts(serializers.DictField):
    """An object with any values."""


class Texts(serializers.DictField):
    child = Text(allow_blank=True, max_length=MAX_FACT)


class FactsInput(Strict):
    client_ip = Text(max_length=MAX_FACT, allow_blank=True, required=False)
    user_agent = Text(max_length=MAX_FACT, allow_blank=True, required=False)
    path = Text(max_length=MAX_FACT, allow_blank=True, required=False)
    user = Text(max_length=MAX_FACT, allow_blank=True, required=False)
    headers = Texts(required=False)
    query = Texts(required=False)
    metadata = Facts(required=False)


class CandidateSerializer(Answer):
    service = serializers.CharField()
    weight = serializers.IntegerField()
    connections = serializers.IntegerField()
    healthy = serializers.BooleanField()


class RejectedSerializer(Answer):
    rule = serializers.CharField(required=False, help_text="A rule that does not decide, or:")
    service = serializers.CharField(required=False, help_text="A service that is no candidate.")
    why = serializers.CharField()


class ExplanationSerializer(Answer):
    rule = serializers.CharField(allow_null=True, help_text="null: no rule decides.")
    strategy = serializers.ChoiceField(STRATEGIES, allow_null=True)
    candidates = CandidateSerializer(many=True)
    rejected = RejectedSerializer(many=True)
    chosen = serializers.CharField(
        allow_null=True, help_text="null: the client has to name a service."
    )


NEW_RULE = OpenApiExample(
    "Important clients",
    {
        "name": "vip",
        "priority": 1,
        "conditions": [
            {
                "field": "user_agent",
                "operator": "contains",
                "value": "VIP",
                "case_sensitive": False,
            }
        ],
        "target_strategy": "least_connections",
        "target_tags": ["premium"],
    },
    request_only=True,
)
CHANGED_RULE = OpenApiExample("Without effect for now", {"enabled": False}, request_only=True)
FACTS = OpenApiExample(
    "A browser", {"user_agent": "VIP reader", "headers": {"accept-language": "zh"}},
    request_only=True,
)  # fmt: skip
