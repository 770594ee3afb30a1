"""Which launcher the site's supervisors use for the replicas of services: `MYAGENT_LAUNCHER`."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings

from services.logs.logfiles import path_of
from services.models import Instance
from services.supervision.launchers import Launcher
from services.supervision.launchers.local import LocalLauncher


def launcher_of_site() -> Launcher:
    """One that is correctly set, according to the system checks."""
    if settings.MYAGENT_LAUNCHER != "ray":
        return LocalLauncher()
    # Imported here: most sites do not have it.
    from services.supervision.launchers.ray import RayLauncher
    from services.supervision.launchers.ray_cluster import Cluster
    from services.supervision.launchers.ray_job import RayOptions

    options = RayOptions(
        cpus=settings.MYAGENT_RAY_CPUS,
        runtime_env=json.loads(settings.MYAGENT_RAY_ENV or "{}"),
        is_uploaded=settings.MYAGENT_RAY_UPLOAD,
    )
    return RayLauncher(Cluster(settings.RAY_ADDRESS), options, _log_of)


def _log_of(instance_id: str) -> Path:
    service_id = Instance.objects.values_list("service_id", flat=True).get(pk=instance_id)
    return path_of(service_id, instance_id)
