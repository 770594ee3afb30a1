"""Services are registered, changed and taken off the list by the verbs, with what these refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from services.admin.service_form import ServiceForm
from services.catalogue import registry, secrets
from services.fields import FIELDS
from services.models import Service, Supervisor

from .conftest import LIST, MakeInstance, MakeService
from .reading import history_of, page_of, sentences

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

DEFAULTS = {
    "replicas": "1",
    "weight": "1",
    "host": "localhost",
    "auto_restart": "on",
    "max_restart_count": "5",
    "restart_delay_s": "1.0",
}


def form(name: str = "weather", **fields: str) -> dict[str, str]:
    return DEFAULTS | {"name": name, "agent_factory_path": "weather.py"} | fields


def errors(response: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return dict(found)


@pytest.mark.usefixtures("agent_file")
def test_a_service_is_registered_with_all_that_was_given(chief: Client) -> None:
    given = {"tags": "demo, 预报，b demo", "replicas": "2", "port": "9001", "auto_start": "on"}
    chief.post(f"{LIST}add/", form(description="Sky", variables="APP_KEY=a=b \n\nAPP_X=", **given))
    service = Service.objects.get()
    assert (service.name, service.description, service.port) == ("weather", "Sky", 9001)
    assert service.tags == sorted({"demo", "预报", "b"})
    assert service.desired == Service.Desired.RUNNING
    assert Path(service.agent_factory_path).is_absolute()
    assert secrets.decrypt(service.environment) == {"APP_KEY": "a=b ", "APP_X": ""}
    assert history_of(service) == [("chief", "Added.")]


def test_an_external_service_is_registered_by_its_address(chief: Client) -> None:
    address = {"agent_factory_path": "", "url": "wss://far.example/x"}
    chief.post(f"{LIST}add/", form("far", **address))
    assert Service.objects.get().is_external


@pytest.mark.usefixtures("agent_file")
@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "no/name"}, "name"),
        ({"name": ""}, "name"),
        ({"tags": "a/b"}, "tags"),
        ({"port": "70000"}, "port"),
        ({"port": "x"}, "port"),
        ({"host": "a b"}, "host"),
        ({"replicas": "0"}, "replicas"),
        ({"restart_delay_s": "nan"}, "restart_delay_s"),
        ({"memory_limit_mb": "1"}, "memory_limit_mb"),
        ({"agent_factory_path": "/etc/passwd"}, "agent_factory_path"),
        ({"agent_factory_path": "../../etc/passwd"}, "agent_factory_path"),
        ({"agent_factory_path": ""}, "agent_factory_path"),
        ({"url": "ws://far.example"}, "agent_factory_path"),
        ({"agent_factory_path": "", "url": "http://far.example"}, "url"),
        ({"variables": "A=1\nno equals sign"}, "variables"),
        ({"variables": "1A=x"}, "variables"),
    ],
)
def test_what_is_refused_is_said_at_its_field(
    chief: Client, given: dict[str, str], field: str
) -> None:
    response = chief.post(f"{LIST}add/", form() | given)
    assert list(errors(response)) == [field]
    assert Service.objects.count() == 0


@pytest.mark.usefixtures("agent_file")
def test_all_that_is_wrong_is_said_at_once(chief: Client) -> None:
    wrong = {"name": "no/name", "tags": "a/b", "port": "70000", "host": "a b", "weight": "-1"}
    response = chief.post(f"{LIST}add/", form() | wrong)
    assert set(errors(response)) == set(wrong)
    assert Service.objects.count() == 0


def test_a_name_that_is_taken_is_refused_at_the_name(
    chief: Client, make_service: MakeService
) -> None:
    make_service("weather")
    response = chief.post(f"{LIST}add/", form("weather"))
    message = "There is a service 'weather' already; choose another name."
    assert errors(response) == {"name": [message]}


def test_a_service_keeps_its_name(chief: Client, make_service: MakeService) -> None:
    service = make_service("weather")
    path = service.agent_factory_path
    chief.post(page_of(service), form("sky", description="New", agent_factory_path=path))
    service.refresh_from_db()
    assert (service.name, service.description) == ("weather", "New")


@pytest.mark.usefixtures("agent_file")
def test_the_form_says_where_files_may_lie(chief: Client, settings: Any) -> None:
    assert f"Below {settings.MYAGENT_AGENT_DIRS[0]}" in chief.get(f"{LIST}add/").content.decode()


@pytest.mark.usefixtures("agent_file")
def test_without_allowed_folders_no_file_is_registered(chief: Client, settings: Any) -> None:
    settings.MYAGENT_AGENT_DIRS = []
    page = chief.get(f"{LIST}add/").content.decode()
    assert "MYAGENT_AGENT_DIRS=." in page, "said before anything is filled in"
    assert "manage.py services register NAME FILE" in page
    response = chief.post(f"{LIST}add/", form())
    assert "MYAGENT_AGENT_DIRS" in errors(response)["agent_factory_path"][0]


def test_what_is_changed_is_in_the_history(chief: Client, make_service: MakeService) -> None:
    service = make_service(description="Old", tags=["a"])
    path = service.agent_factory_path
    chief.post(page_of(service), form(description="New", agent_factory_path=path))
    service.refresh_from_db()
    assert (service.description, service.tags) == ("New", [])
    assert history_of(service) == [("chief", "Changed Description and Tags.")]


@pytest.mark.parametrize("field", [name for name in FIELDS if name not in ("name", "auto_start")])
def test_the_history_is_told_in_the_readers_language(field: str) -> None:
    """Django keeps the English label of what was changed, and looks it up when it is read."""
    with translation.override(None):
        kept = str(ServiceForm().fields[field].label)
    with translation.override("zh-hans"):
        assert translation.gettext(kept) == str(ServiceForm().fields[field].label)


def test_a_file_that_only_a_command_could_register_is_no_reason_to_refuse_other_changes(
    chief: Client, tmp_path: Path, agent_file: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("")
    service = registry.register(name="weather", agent_factory_path=str(outside))
    same = form(description="New", agent_factory_path=str(outside))
    chief.post(page_of(service), same)
    assert Service.objects.get().description == "New"
    other = tmp_path / "other.py"
    other.write_text("")
    response = chief.post(page_of(service), same | {"agent_factory_path": str(other)})
    assert list(errors(response)) == ["agent_factory_path"]


def test_a_service_keeps_its_kind(chief: Client, make_service: MakeService) -> None:
    service = make_service()
    changed = form(agent_factory_path="", url="ws://far.example")
    assert list(errors(chief.post(page_of(service), changed))) == ["agent_factory_path"]
    external = make_service("far", url="ws://far.example")
    fields = {"name": "far", "url": "ws://near.example", "weight": "3", "tags": ""}
    chief.post(page_of(external), fields)
    external.refresh_from_db()
    assert (external.url, external.weight) == ("ws://near.example", 3)


def test_values_of_the_environment_are_never_shown(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service(environment={"OPENAI_API_KEY": "sk-hidden"})
    for what in ("change", "observed", "history", "delete"):
        assert "sk-hidden" not in chief.get(page_of(service, what)).content.decode()
    assert "OPENAI_API_KEY" in chief.get(page_of(service)).content.decode()


def test_a_line_that_is_no_variable_is_not_repeated_in_the_error(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service()
    path = service.agent_factory_path
    answer = chief.post(page_of(service), form(agent_factory_path=path, variables="A=1\nsk-hidden"))
    assert errors(answer) == {"variables": ["Line 2 is not of the form KEY=value."]}


def test_variables_are_kept_added_to_and_forgotten(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service(environment={"APP_A": "1", "APP_B": "2"})
    path = service.agent_factory_path

    def after(**fields: str) -> dict[str, str]:
        chief.post(page_of(service), form(agent_factory_path=path, **fields))
        service.refresh_from_db()
        return secrets.decrypt(service.environment)

    assert after(variables="") == {"APP_A": "1", "APP_B": "2"}
    assert after(variables="APP_B=3\r\nAPP_C=4") == {"APP_A": "1", "APP_B": "3", "APP_C": "4"}
    assert after(variables="APP_D=5", forget_variables="on") == {"APP_D": "5"}
    assert after(forget_variables="on") == {}
    assert "sk" not in str(history_of(service))


def test_variables_under_another_key_are_said_to_be_unreadable_and_can_be_replaced(
    chief: Client, make_service: MakeService, settings: Any
) -> None:
    service = make_service(environment={"APP_A": "1"})
    path = service.agent_factory_path
    # Encrypted under this key; the session of the test's client is signed with it too.
    Service.objects.update(environment=service.environment[:-8] + "AAAAAAA=")
    assert "another SECRET_KEY" in chief.get(page_of(service)).content.decode()
    answer = chief.post(page_of(service), form(agent_factory_path=path, variables="APP_B=2"))
    assert "another SECRET_KEY" in str(errors(answer))
    both = form(agent_factory_path=path, variables="APP_B=2", forget_variables="on")
    chief.post(page_of(service), both)
    service.refresh_from_db()
    assert secrets.decrypt(service.environment) == {"APP_B": "2"}


def test_variables_that_a_command_set_stay_but_the_admin_sets_none_like_them(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service(environment={"PYTHONSTARTUP": "/srv/lib"})
    path = service.agent_factory_path
    answer = chief.post(page_of(service), form(agent_factory_path=path, variables="LD_PRELOAD=x"))
    assert "MYAGENT_ENV_ALLOWED" in str(errors(answer)["variables"])
    chief.post(page_of(service), form(agent_factory_path=path, variables="APP_A=1"))
    service.refresh_from_db()
    assert secrets.decrypt(service.environment) == {"PYTHONSTARTUP": "/srv/lib", "APP_A": "1"}


def test_a_service_that_goes_while_it_is_changed_is_said_to_be_gone(
    chief: Client, make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service()

    def find_it_just_before_it_goes(service_id: str) -> Service:
        found = Service.objects.get(pk=service_id)
        Service.objects.all().delete()
        return found

    monkeypatch.setattr(registry, "find", find_it_just_before_it_goes)
    given = form(agent_factory_path=service.agent_factory_path, weight="2")
    answer = chief.post(page_of(service), given)
    assert "There is no service 'weather'." in str(errors(answer))


def test_deleting_unregisters_and_says_when_the_row_goes(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service(auto_start=True)
    make_instance(service)
    page = chief.get(page_of(service, "delete")).content.decode()
    assert "leaves the list once its instances have ended" in page
    response = chief.post(page_of(service, "delete"), {"post": "yes"}, follow=True)
    assert sentences(response) == [
        "'weather' is being unregistered: it leaves the list once its instances have ended."
    ]
    service.refresh_from_db()
    assert service.unregistered_at is not None
    assert service.desired == Service.Desired.STOPPED
    assert service.instances.count() == 1


def test_a_page_that_unregisters_one_does_not_call_it_deleting(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service()
    assert ">Unregister</a>" in chief.get(page_of(service)).content.decode()
    page = chief.get(page_of(service, "delete")).content.decode()
    assert "Its conversations stay in the database" in page
    assert "Delete" not in page


def test_an_external_service_goes_at_once(chief: Client, make_service: MakeService) -> None:
    service = make_service("far", url="ws://far.example")
    response = chief.post(page_of(service, "delete"), {"post": "yes"}, follow=True)
    assert sentences(response) == ["'far' was taken off the list."]
    assert Service.objects.count() == 0


def test_many_are_unregistered_after_one_question(chief: Client, make_service: MakeService) -> None:
    services = [make_service(name) for name in ("one", "two")]
    chosen = {
        "action": "delete_selected",
        "_selected_action": [service.pk for service in services],
    }
    page = chief.post(LIST, chosen).content.decode()
    assert "Unregister these services?" in page
    assert "Conversations stay in the database" in page
    assert "Delete" not in page
    assert Service.objects.filter(unregistered_at__isnull=True).count() == 2
    response = chief.post(LIST, chosen | {"post": "yes"}, follow=True)
    assert len(sentences(response)) == 2
    assert Service.objects.filter(unregistered_at__isnull=False).count() == 2
    assert history_of(services[0])[0][0] == "chief"


def test_without_a_supervisor_it_is_said_only_if_there_is_something_to_do(
    chief: Client, agent_file: Path, settings: Any
) -> None:
    Supervisor.objects.all().delete()
    settings.MYAGENT_SUPERVISOR = "external"

    def said(name: str, **fields: str) -> str:
        return " ".join(sentences(chief.post(f"{LIST}add/", form(name, **fields), follow=True)))

    assert "manage.py supervise" not in said("later")
    assert "manage.py supervise" in said("now", auto_start="on")
