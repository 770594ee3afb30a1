"""Services in Django's admin, with buttons that call the verbs; and conversations, to read."""

from services.admin.connections import ConnectionAdmin
from services.admin.conversations import SessionAdmin
from services.admin.rules import RoutingRuleAdmin
from services.admin.service_admin import ServiceAdmin
from services.admin.supervisors import SupervisorAdmin
from services.admin.token_admin import TokenAdmin

__all__ = [
    "ConnectionAdmin",
    "RoutingRuleAdmin",
    "ServiceAdmin",
    "SessionAdmin",
    "SupervisorAdmin",
    "TokenAdmin",
]
