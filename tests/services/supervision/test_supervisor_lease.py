"""Who is in charge of what, as the leases of supervisors say."""

from __future__ import annotations

from typing import Any

import pytest

from agents.runtime.process import own_identity
from services.errors import ServiceError
from services.models import Supervisor
from services.supervision import supervisor_lease
from services.supervision.supervisor_lease import Charge
from services.supervision.supervisor_start import ensure_supervisor
from tests.services import rows

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_keeps_one_worker_is_in_charge_of_nothing_else() -> None:
    charge = Charge.one_worker_of(rows.service("weather"))
    assert supervisor_lease.take(is_automatic=False, charge=charge) is not None
    assert not supervisor_lease.is_anybody_in_charge()
    assert supervisor_lease.take(is_automatic=False) is not None
    assert supervisor_lease.is_anybody_in_charge()


def test_who_keeps_one_worker_acts_for_its_service_until_it_is_seen_to_be_gone(
    settings: Any,
) -> None:
    settings.MYAGENT_SUPERVISOR = "external"
    service = rows.service("weather")
    charge = Charge.one_worker_of(service)
    assert supervisor_lease.take(is_automatic=False, charge=charge) is not None
    assert not ensure_supervisor(service)
    Supervisor.objects.update(process=f"{own_identity()}9")
    with pytest.raises(ServiceError, match="No supervisor"):
        ensure_supervisor(service)
