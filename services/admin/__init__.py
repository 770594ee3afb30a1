"""Services in Django's admin, with buttons that call the verbs."""

from services.admin.service_admin import ServiceAdmin
from services.admin.supervisors import SupervisorAdmin
from services.admin.token_admin import TokenAdmin

__all__ = ["ServiceAdmin", "SupervisorAdmin", "TokenAdmin"]
