"""Who is in charge of what, as the leases of supervisors say."""

from __future__ import annotations

import pytest

from services.supervision import supervisor_lease
from services.supervision.supervisor_lease import Charge
from tests.services import rows

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_keeps_one_worker_is_in_charge_of_nothing_else() -> None:
    charge = Charge.one_worker_of(rows.service("weather"))
    assert supervisor_lease.take(is_automatic=False, charge=charge) is not None
    assert not supervisor_lease.is_anybody_in_charge()
    assert supervisor_lease.take(is_automatic=False) is not None
    assert supervisor_lease.is_anybody_in_charge()
