"""Which variables a service may have: none that would part its processes from the site."""

from __future__ import annotations

import pytest
from django.conf import settings

from agents.ids import new_id
from services import registry, secrets
from services.environment import checked
from services.errors import ServiceError
from services.launching import launch_spec
from services.models import Service
from tests.services import rows

OWN = [
    *("DATABASE_URL", "SECRET_KEY", "MYSQL_HOST", "MYAGENT_VAR_DIR", "MYAGENT_INSTANCE"),
    *("MYAGENT_ENV_FILE", "MYAGENT_BARRIER", "MYAGENT_NOT_YET", "DJANGO_SETTINGS_MODULE", "DEBUG"),
    *("MYAGENT_AGENT_DIRS", "MYAGENT_ENV_ALLOWED", "MYAGENT_AUTH", "MYAGENT_LEASE_S"),
]


@pytest.mark.parametrize("name", OWN)
def test_not_even_a_command_gives_a_service_another_site(name: str) -> None:
    with pytest.raises(ServiceError, match=name):
        checked({name: "x"}, is_confined=False)


@pytest.mark.parametrize(
    "name",
    ["MYAGENT_RUN_TIMEOUT_S", "MYAGENT_CONTEXT_TOKENS", "MYAGENT_LOG_LEVEL", "PYTHONPATH", "PATH"],
)
def test_a_command_may_tune_a_service_and_its_interpreter(name: str) -> None:
    assert checked({name: "1"}, is_confined=False) == {name: "1"}


@pytest.mark.parametrize("name", ["MYAGENT_VAR_DIR", "DATABASE_URL"])
def test_no_setting_opens_the_site_itself_to_the_network(name: str, settings: object) -> None:
    settings.MYAGENT_ENV_ALLOWED = ["*"]  # type: ignore[attr-defined]
    with pytest.raises(ServiceError, match=name):
        checked({name: "x"}, is_confined=True)


def test_every_setting_of_the_site_is_either_its_own_or_tuning() -> None:
    assert set(settings.SITE_VARIABLES) > settings.TUNING_VARIABLES


@pytest.mark.django_db
def test_what_was_stored_under_other_rules_does_not_reach_the_process() -> None:
    stored = secrets.encrypt({"DATABASE_URL": "sqlite:////tmp/other.db", "APP_MODE": "x"})
    service = rows.service("weather", environment=stored)
    environment = launch_spec(rows.instance(service)).environment
    assert environment["APP_MODE"] == "x"
    assert environment.get("DATABASE_URL") != "sqlite:////tmp/other.db"


@pytest.mark.django_db
def test_adding_a_variable_keeps_those_that_are_set() -> None:
    kept = secrets.encrypt({"APP_A": "1"})
    service = Service.objects.create(
        id=new_id(), name="x", agent_factory_path="/x.py", environment=kept
    )
    registry.change(service, environment={"APP_B": "2"}, keeps_environment=True)
    assert secrets.decrypt(service.environment) == {"APP_A": "1", "APP_B": "2"}
