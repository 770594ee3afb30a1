"""Which variables a service's workers have: none that tells them of the site."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.utils import translation

from agents.runs.worker_process import PASSED
from agents.runtime.ids import new_id
from services.catalogue import registry, secrets
from services.catalogue.environment import checked
from services.errors import ServiceError
from services.models import Service
from services.supervision.launchers import LaunchFailed
from services.supervision.launching import launch_spec
from tests.services import rows

OWN = [
    *("DATABASE_URL", "SECRET_KEY", "MYSQL_HOST", "MYAGENT_VAR_DIR", "MYAGENT_INSTANCE"),
    *("MYAGENT_ENV_FILE", "MYAGENT_BARRIER", "MYAGENT_NOT_YET", "DJANGO_SETTINGS_MODULE", "DEBUG"),
    *("MYAGENT_AGENT_DIRS", "MYAGENT_ENV_ALLOWED", "MYAGENT_AUTH", "MYAGENT_LEASE_S"),
    *("MYAGENT_RUN_TIMEOUT_S", "MYAGENT_LOG_LEVEL", "PYTHONPATH"),
]


@pytest.mark.parametrize("name", OWN)
def test_not_even_a_command_gives_a_service_what_is_the_site_s(name: str) -> None:
    with pytest.raises(ServiceError, match=name):
        checked({name: "x"}, is_confined=False)


def test_the_path_of_imports_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(ServiceError) as refused:
        checked({"PYTHONPATH": "/srv/lib"}, is_confined=False)
    assert "setting of the whole site" not in str(refused.value)
    assert "--python" in str(refused.value)
    with translation.override("zh-hans"):
        assert "--python" in str(refused.value) != refused.value.sentence.template


@pytest.mark.parametrize(
    "name", ["PATH", "PYTHONUNBUFFERED", "APP_MODE", "LLM_MODEL", "MYAGENT_MODEL_X"]
)
def test_a_command_may_set_what_an_agent_and_its_interpreter_read(name: str) -> None:
    assert checked({name: "1"}, is_confined=False) == {name: "1"}


@pytest.mark.parametrize("name", ["MYAGENT_VAR_DIR", "DATABASE_URL"])
def test_no_setting_opens_the_site_itself_to_the_network(name: str, settings: Any) -> None:
    settings.MYAGENT_ENV_ALLOWED = ["*"]
    with pytest.raises(ServiceError, match=name):
        checked({name: "x"}, is_confined=True)


@pytest.mark.django_db
def test_what_was_stored_under_other_rules_does_not_reach_the_process() -> None:
    stored = secrets.encrypt({"DATABASE_URL": "sqlite:////tmp/other.db", "APP_MODE": "x"})
    service = rows.service("weather", environment=stored)
    environment = launch_spec(rows.instance(service)).environment
    assert environment["APP_MODE"] == "x"
    assert "DATABASE_URL" not in environment


@pytest.mark.django_db
def test_a_worker_is_handed_no_variable_of_the_site_even_if_a_setting_names_it(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    for name in [*settings.SITE_VARIABLES, "DJANGO_SETTINGS_MODULE", "UNKNOWN_SECRET", "APP_KEY"]:
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    settings.MYAGENT_PASS_ENV = ["APP_KEY", "DATABASE_URL", "SECRET_KEY"]
    environment = launch_spec(rows.instance(rows.service("weather"))).environment
    assert environment["OPENAI_API_KEY"] == "sk-1"
    assert environment["APP_KEY"] == "x"
    known = PASSED | {"OPENAI_API_KEY", "APP_KEY", "PYTHONPATH"}
    prefixes = ("LC_", "OPENAI_", "LLM_")
    assert [
        name for name in environment if name not in known and not name.startswith(prefixes)
    ] == []
    assert environment["PYTHONPATH"] == str(Path(settings.VAR_DIR).resolve() / "sdk")
    assert os.listdir(environment["PYTHONPATH"]) == ["myagent"]


@pytest.fixture
def service_with_file(tmp_path: Path) -> Service:
    stored = secrets.encrypt({"APP_MODE": "registered"})
    path = str(tmp_path / "weather.py")
    return rows.service("weather", environment=stored, agent_factory_path=path)


@pytest.mark.django_db
def test_a_service_has_what_the_file_beside_its_agent_sets(
    service_with_file: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEATHER_KEY", "of the supervisor, which nobody named")
    monkeypatch.setenv("OPENAI_MODEL", "of the supervisor")
    (tmp_path / ".env").write_text(
        "WEATHER_KEY=1\nAPP_MODE=file\nOPENAI_MODEL=file\nSECRET_KEY=evil\nMYAGENT_AUTH=open\n"
    )
    environment = launch_spec(rows.instance(service_with_file)).environment
    assert environment["WEATHER_KEY"] == "1"
    assert environment["APP_MODE"] == "registered", "what is set for the service wins"
    assert environment["OPENAI_MODEL"] == "of the supervisor"
    assert not {"SECRET_KEY", "MYAGENT_AUTH"} & set(environment)


@pytest.mark.django_db
def test_a_service_says_which_line_of_that_file_is_wrong(
    service_with_file: Service, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("WEATHER_KEY=1\nsk-secret\n")
    with pytest.raises(LaunchFailed, match=r"\.env, line 2") as failed:
        launch_spec(rows.instance(service_with_file))
    assert "sk-secret" not in str(failed.value)


@pytest.mark.django_db
def test_a_worker_is_handed_the_models_time_out_and_a_service_may_have_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MYAGENT_MODEL_TIMEOUT_S", "20")
    service = rows.service("weather")
    instance = rows.instance(service)
    assert launch_spec(instance).environment["MYAGENT_MODEL_TIMEOUT_S"] == "20"
    registry.change(service, environment={"MYAGENT_MODEL_TIMEOUT_S": "5"})
    instance.service.refresh_from_db()
    assert launch_spec(instance).environment["MYAGENT_MODEL_TIMEOUT_S"] == "5"


@pytest.mark.django_db
def test_adding_a_variable_keeps_those_that_are_set() -> None:
    kept = secrets.encrypt({"APP_A": "1"})
    service = Service.objects.create(
        id=new_id(), name="x", agent_factory_path="/x.py", environment=kept
    )
    registry.change(service, environment={"APP_B": "2"}, keeps_environment=True)
    assert secrets.decrypt(service.environment) == {"APP_A": "1", "APP_B": "2"}
