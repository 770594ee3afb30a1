"""Services in Django's admin, with buttons that call the verbs."""

from services.admin.rules import RoutingRuleAdmin
from services.admin.service_admin import ServiceAdmin
from services.admin.supervisors import SupervisorAdmin

__all__ = ["RoutingRuleAdmin", "ServiceAdmin", "SupervisorAdmin"]
