"""Buttons and bulk actions ask for what the verbs do, and say what is happening."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.test import Client

from services import control
from services.models import Service, Supervisor

from .conftest import LIST, MakeInstance, MakeService, Person
from .reading import history_of, page_of, sentences

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

Status = Service.Status
Desired = Service.Desired


def test_start_desires_it_to_run_and_says_that_it_is_starting(
    person: Person, make_service: MakeService
) -> None:
    service = make_service()
    client = person("view_service", "control_service")
    response = client.post(page_of(service, "start"), follow=True)
    service.refresh_from_db()
    assert service.desired == Desired.RUNNING
    assert sentences(response) == ["'weather' is starting."]


def test_stop_and_restart_do_as_they_are_named(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    service = make_service(auto_start=True, status=Status.RUNNING)
    make_instance(service)
    response = chief.post(page_of(service, "restart"), follow=True)
    assert sentences(response) == ["'weather' is restarting."]
    assert Service.objects.get().generation == 2
    response = chief.post(page_of(service, "stop"), {"post": "yes"}, follow=True)
    assert sentences(response) == ["'weather' is stopping."]
    assert Service.objects.get().desired == Desired.STOPPED


def test_what_is_so_already_is_said_to_be_so(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    running = make_service(auto_start=True, status=Status.RUNNING)
    make_instance(running)
    stopped = make_service("other")
    response = chief.post(page_of(running, "start"), follow=True)
    assert sentences(response) == ["'weather' is running."]
    response = chief.post(page_of(stopped, "stop"), {"post": "yes"}, follow=True)
    assert sentences(response) == ["'other' is stopped."]


def test_who_did_it_and_when_is_in_the_history(chief: Client, make_service: MakeService) -> None:
    service = make_service()
    for verb in ("start", "restart", "stop"):
        chief.post(page_of(service, verb), {"post": "yes"})
    assert history_of(service) == [
        ("chief", "Started."),
        ("chief", "Restarted."),
        ("chief", "Stopped."),
    ]
    page = chief.get(page_of(service, "history"))
    assert "Restarted." in page.content.decode()


def test_a_refusal_is_said_and_not_in_the_history(chief: Client, make_service: MakeService) -> None:
    service = make_service("far", url="wss://far.example/")
    response = chief.post(page_of(service, "restart"), follow=True)
    assert sentences(response) == ["'far' runs elsewhere: it can't be restarted from here."]
    assert history_of(service) == []


def test_a_service_that_is_gone_is_said_to_be_gone(chief: Client) -> None:
    response = chief.post(f"{LIST}nothing/start/", follow=True)
    assert sentences(response) == ["There is no service 'nothing'."]


def test_bulk_actions_do_it_to_all_that_are_selected(
    person: Person, make_service: MakeService
) -> None:
    services = [make_service(name) for name in ("one", "two", "three")]
    client = person("view_service", "control_service")
    chosen = [services[0].pk, services[1].pk]
    response = client.post(
        LIST, {"action": "start_selected", "_selected_action": chosen}, follow=True
    )
    assert sentences(response) == ["'one' is starting.", "'two' is starting."]
    running = Service.objects.filter(desired=Desired.RUNNING).values_list("name", flat=True)
    assert sorted(running) == ["one", "two"]
    assert history_of(services[0]) == [("ann", "Started.")]
    client.post(LIST, {"action": "restart_selected", "_selected_action": chosen})
    assert Service.objects.get(pk=chosen[0]).generation == 2


def test_a_stop_of_several_is_asked_about_first(chief: Client, make_service: MakeService) -> None:
    services = [make_service(name, auto_start=True) for name in ("one", "two", "three")]
    wish = {"action": "stop_selected", "_selected_action": [one.pk for one in services[:2]]}
    page = chief.post(LIST, wish).content.decode()
    assert "Stop these services?" in page
    assert "answers that are being written may finish" in page
    assert (page.count("<strong>one</strong>"), page.count("<strong>three</strong>")) == (1, 0)
    assert not Service.objects.filter(desired=Desired.STOPPED).exists()
    chief.post(LIST, wish | {"post": "yes"})
    assert Service.objects.filter(desired=Desired.STOPPED).count() == 2


def test_a_stop_of_one_is_asked_about_first_as_well(
    chief: Client, make_service: MakeService
) -> None:
    service = make_service(auto_start=True, status=Status.RUNNING)
    address = page_of(service, "stop")
    came_from = {"Referer": f"http://testserver{page_of(service)}"}
    page = chief.post(address, headers=came_from).content.decode()
    assert "Stop this service?" in page
    assert "<strong>weather</strong>" in page
    assert Service.objects.get().desired == Desired.RUNNING
    assert f'name="way_back" value="{page_of(service)}"' in page
    confirmed = {"post": "yes", "way_back": page_of(service)}
    came_from = {"Referer": f"http://testserver{address}"}
    answer = chief.post(address, confirmed, headers=came_from)
    assert answer.headers["Location"] == page_of(service)
    evil = confirmed | {"way_back": "//evil.example/"}
    assert chief.post(address, evil).headers["Location"] == LIST
    assert Service.objects.get().desired == Desired.STOPPED


def test_one_comes_back_to_where_the_button_was(chief: Client, make_service: MakeService) -> None:
    service = make_service()

    def way_back(came_from: str) -> str:
        address = page_of(service, "start")
        return chief.post(address, headers={"Referer": came_from}).headers["Location"]

    assert way_back(f"http://testserver{LIST}?tag=a&q=b") == f"{LIST}?tag=a&q=b"
    assert way_back(f"http://testserver{page_of(service)}") == page_of(service)
    assert way_back("") == LIST
    assert way_back(f"http://elsewhere.example{LIST}") == LIST
    assert way_back("http://testserver//elsewhere.example/") == LIST


def test_buttons_offer_what_makes_sense(
    chief: Client, make_service: MakeService, make_instance: MakeInstance
) -> None:
    def offered(service: Service) -> list[str]:
        answer = chief.get(f"{LIST}live/", {"id": service.pk}).json()
        verbs: list[str] = answer["services"][service.pk]["verbs"]
        return verbs

    assert offered(make_service("stopped")) == ["start"]
    assert offered(make_service("up", auto_start=True, status=Status.RUNNING)) == [
        *("stop", "restart")
    ]
    failed = make_service("failed", auto_start=True, status=Status.ERROR)
    assert offered(failed) == ["start"], "nothing of it is left to stop"
    make_instance(failed)
    assert offered(failed) == ["start", "stop", "restart"]
    far = make_service("far", url="ws://far.example")
    assert offered(far) == ["stop"]
    control.stop(far)
    assert offered(far) == ["start"]


def test_without_a_supervisor_it_is_said_that_nothing_happens_yet(
    chief: Client, make_service: MakeService, settings: LazySettings
) -> None:
    services = [make_service(name) for name in ("one", "two")]
    Supervisor.objects.all().delete()
    settings.MYAGENT_SUPERVISOR = "external"
    chosen = [service.pk for service in services]
    form = {"action": "start_selected", "_selected_action": chosen}
    first, second, warning = sentences(chief.post(LIST, form, follow=True))
    assert (first, second) == ("'one' is starting.", "'two' is starting.")
    assert "manage.py supervise" in warning
