"""A name stands for one agent file: its servers continue each other's runs."""

from __future__ import annotations

import socket

import pytest

from agents.models import Server
from agents.ownership import servers
from agents.ownership.servers import NameTaken
from agents.runtime.process import own_identity

pytestmark = pytest.mark.django_db

OURS, OTHER = "/agents/parrot.py", "/agents/odd.py"


@pytest.fixture(autouse=True)
def bird() -> Server:
    """Serves our file as 'bird'."""
    server = Server(
        id="s", service="bird", source=OURS, host=socket.gethostname(), process=own_identity()
    )
    servers.register(server, lease_s=60)
    return server


def test_another_file_is_refused_under_a_name_that_is_served() -> None:
    with pytest.raises(NameTaken) as raised:
        servers.refuse_another_file("bird", OTHER)
    assert raised.value.source == OURS


def test_the_same_file_and_another_name_are_not_refused() -> None:
    servers.refuse_another_file("bird", OURS)
    servers.refuse_another_file("other", OTHER)


def test_a_name_whose_server_is_gone_is_free() -> None:
    *boot, _ = own_identity().split("/")
    Server.objects.update(process="/".join([*boot, "1"]))
    servers.refuse_another_file("bird", OTHER)


def test_a_name_whose_server_has_left_is_free(bird: Server) -> None:
    servers.end(bird.pk)
    servers.refuse_another_file("bird", OTHER)
