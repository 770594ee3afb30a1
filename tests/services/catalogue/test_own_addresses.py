"""An external service can't be the site itself."""

from __future__ import annotations

import pytest
from django.utils import timezone

from agents.models import Server
from services.catalogue import registry
from services.errors import ServiceError
from tests.services.measured import add_server

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


@pytest.fixture(autouse=True)
def server(transactional_db: None) -> Server:
    return add_server(host="Machine", address="ws://localhost:8000/")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "machine", "0.0.0.0"])
def test_the_site_itself_is_no_external_service(host: str) -> None:
    with pytest.raises(ServiceError, match="this site itself"):
        registry.register(name="far", url=f"ws://{host}:8000/services/far/")


def test_an_external_service_does_not_move_to_the_site() -> None:
    far = registry.register(name="far", url="ws://far.example/")
    with pytest.raises(ServiceError, match="this site itself"):
        registry.change(far, url="ws://localhost:8000/")


def test_other_programs_on_the_machine_are_external(server: Server) -> None:
    registry.register(name="near", url="ws://localhost:8001/")
    Server.objects.update(ended_at=timezone.now())
    registry.register(name="later", url="ws://localhost:8000/")
