"""Services in Django's admin, with buttons that call the verbs; conversations, traces, prices."""

from services.admin.connections import ConnectionAdmin
from services.admin.conversations import SessionAdmin
from services.admin.rules import RoutingRuleAdmin
from services.admin.service_admin import ServiceAdmin
from services.admin.supervisors import SupervisorAdmin
from services.admin.token_admin import TokenAdmin
from services.admin.traces import PriceAdmin, TraceAdmin

__all__ = [
    "ConnectionAdmin",
    "PriceAdmin",
    "RoutingRuleAdmin",
    "ServiceAdmin",
    "SessionAdmin",
    "SupervisorAdmin",
    "TokenAdmin",
    "TraceAdmin",
]
