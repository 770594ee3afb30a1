"""Many agents as services, from Python: register, start, watch.

async with AgentManager("my_manager.db") as manager:
    service = await manager.register_service("echo", "my_agent.py", auto_start=True)
    print(service.endpoint)
"""

from __future__ import annotations

from myagent.manager.errors import (
    Conflict,
    ManagerError,
    NotArrived,
    NotRunning,
    Refused,
    ServiceFailed,
    StillWorking,
    StorageFailed,
    UnknownService,
    WrongSettings,
)
from myagent.manager.manager import AgentManager
from myagent.manager.storage.models import (
    HealthCheck,
    HealthStatus,
    InstanceInfo,
    ServiceConfig,
    ServiceHealth,
    ServiceInfo,
    ServiceStatus,
)

__all__ = [
    "AgentManager",
    "Conflict",
    "HealthCheck",
    "HealthStatus",
    "InstanceInfo",
    "ManagerError",
    "NotArrived",
    "NotRunning",
    "Refused",
    "ServiceConfig",
    "ServiceFailed",
    "ServiceHealth",
    "ServiceInfo",
    "ServiceStatus",
    "StillWorking",
    "StorageFailed",
    "UnknownService",
    "WrongSettings",
]
