"""What a server knows of its services' workers, from their rows alone."""

from __future__ import annotations

import pytest

from services.models import Instance
from services.routing.snapshot import services_now
from tests.services import rows

pytestmark = pytest.mark.django_db

HERE, THERE = "tcp://10.0.0.7:7000", "tcp://10.0.0.8:7000"


def replaced(service: str) -> frozenset[str]:
    return services_now()[0][service].replaced


def test_who_is_replaced_at_its_address_is_told_from_who_only_shares_it() -> None:
    service = rows.service("one")
    old = rows.instance(service, Instance.State.RUNNING, slot=0, generation=1, address=HERE)
    other = rows.instance(service, Instance.State.RUNNING, slot=1, generation=1, address=THERE)
    assert not replaced("one")
    new = rows.instance(service, Instance.State.STARTING, slot=2, generation=2, address=HERE)
    assert replaced("one") == {old.pk, new.pk}
    # Two of one generation that are said to be at one address are a mistake.
    Instance.objects.filter(pk=other.pk).update(address=HERE)
    Instance.objects.filter(pk=new.pk).delete()
    assert not replaced("one")


def test_the_predecessor_is_forgotten_once_it_has_ended() -> None:
    service = rows.service("one")
    rows.instance(service, Instance.State.STOPPED, slot=0, generation=1, address=HERE)
    rows.instance(service, Instance.State.RUNNING, slot=1, generation=2, address=HERE)
    assert not replaced("one")


def test_workers_without_an_address_share_none() -> None:
    service = rows.service("one")
    for slot in range(2):
        rows.instance(service, Instance.State.RUNNING, slot=slot, generation=slot)
    assert not replaced("one")
