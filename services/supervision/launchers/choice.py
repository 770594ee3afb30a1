"""Which launcher the site's supervisors use for the replicas of services: `MYAGENT_LAUNCHER`."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings
from django.utils.crypto import salted_hmac

from services.logs.logfiles import path_of
from services.models import Instance
from services.nodes import this_node
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
        mark=_mark_of_site(),
    )
    return RayLauncher(Cluster(settings.RAY_ADDRESS), options, _log_of, _living)


def _mark_of_site() -> str:
    """What tells this site's jobs from those of others, and of its supervisors on other machines.

    A copy of a site has its key, and perhaps its rows: it must not end the jobs of the original.
    """
    database = settings.DATABASES["default"]
    place = [database[part] for part in ("ENGINE", "HOST", "PORT", "NAME")]
    told = "/".join(map(str, [*place, this_node()]))
    return salted_hmac("services.ray", told, algorithm="sha256").hexdigest()


def _living() -> set[str]:
    return set(Instance.objects.filter(live_slot__isnull=False).values_list("pk", flat=True))


def _log_of(instance_id: str) -> Path:
    service_id = Instance.objects.values_list("service_id", flat=True).get(pk=instance_id)
    return path_of(service_id, instance_id)
