"""To see, to control and to edit are three things: by what is posted, not by what is shown."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from services.models import Service, Supervisor

from .conftest import LIST, MakeService, Person
from .reading import history_of, page_of

pytestmark = pytest.mark.django_db(transaction=True)

VERBS = ("start", "stop", "restart")
EDITS = ("add_service", "change_service", "delete_service")


def untouched(service: Service) -> bool:
    now = Service.objects.get(pk=service.pk)
    same = (now.revision, now.generation, now.desired, now.unregistered_at, now.name)
    return same == (service.revision, 1, Service.Desired.STOPPED, None, "weather")


def post_everything(client: Client, service: Service) -> list[int]:
    """To every address of the services' admin; the statuses."""
    form = {"name": "mine", "agent_factory_path": "weather.py", "host": "localhost"}
    chosen = {"_selected_action": [service.pk], "index": "0", "post": "yes"}
    answers = [client.post(page_of(service, verb)) for verb in VERBS]
    answers += [client.post(page_of(service, what), form) for what in ("change", "delete")]
    answers += [client.post(page_of(service, "delete"), {"post": "yes"})]
    answers += [client.post(f"{LIST}add/", form)]
    for action in (*(f"{verb}_selected" for verb in VERBS), "delete_selected"):
        answers.append(client.post(LIST, chosen | {"action": action}))
    return [answer.status_code for answer in answers]


def test_a_user_who_may_only_view_can_not_change_or_start_anything(
    person: Person, make_service: MakeService
) -> None:
    service = make_service()
    client = person("view_service")
    statuses = post_everything(client, service)
    assert statuses[:7] == [403] * 7
    assert untouched(service)
    assert Service.objects.count() == 1
    assert history_of(service) == []


def test_a_refusal_names_the_permission_that_is_missing(
    person: Person, make_service: MakeService
) -> None:
    service, client = make_service(), person("view_service")
    rules = "/admin/services/routingrule/"
    for method, address, missing in (
        ("POST", page_of(service, "stop"), "Can start, stop and restart services"),
        ("POST", page_of(service, "change"), "Can change service"),
        ("GET", f"{LIST}add/", "Can add service"),
        ("GET", page_of(service, "delete"), "Can delete service"),
        ("GET", rules, "Can view routing rule"),
    ):
        page = client.generic(method, address, headers={"accept": "text/html"})
        assert page.status_code == 403
        assert f"You need the permission '{missing}' (services." in unescape(page.text)
    page = client.get(rules, headers={"accept": "text/html", "accept-language": "zh"})
    assert "您需要权限“Can view routing rule”（services.view_routingrule）。" in page.text


def test_a_user_who_may_only_view_sees_list_and_page_without_buttons(
    person: Person, make_service: MakeService
) -> None:
    service = make_service(description="It tells the weather.", tags=["demo"])
    client = person("view_service")
    for address in (LIST, page_of(service)):
        page = client.get(address)
        text = page.content.decode()
        assert page.status_code == 200
        assert "weather" in text
        assert "data-verb=" not in text
        assert "_selected" not in text
        assert "variables" not in text.replace("variable_names", "")
        assert 'name="_save"' not in text


@pytest.mark.parametrize(
    ("address", "lookup"),
    [
        (LIST, "agent_factory_path__regex"),
        (LIST, "environment__startswith"),
        (LIST, "environment"),
        (LIST, "instances__error__contains"),
        (LIST, "pk__iregex"),
        ("/admin/services/supervisor/", "node__regex"),
        ("/admin/auth/user/", "username__iregex"),
        ("/admin/auth/user/", "groups__name__regex"),
    ],
)
def test_no_list_tells_by_a_filter_what_it_does_not_show_or_waits_for_a_pattern(
    person: Person, make_service: MakeService, address: str, lookup: str
) -> None:
    make_service(name="weather")
    client = person("view_service", "view_supervisor", "view_user")
    assert client.get(address).status_code == 200
    assert client.get(address, {lookup: "^(.+)+!$"}).status_code == 400


def test_to_control_is_not_to_edit(person: Person, make_service: MakeService) -> None:
    service = make_service()
    client = person("view_service", "control_service")
    assert client.post(page_of(service, "start")).status_code == 302
    assert Service.objects.get().desired == Service.Desired.RUNNING
    for what in ("change", "delete"):
        assert client.post(page_of(service, what), {"post": "yes", "name": "x"}).status_code == 403
    chosen = {"_selected_action": [service.pk], "action": "delete_selected", "post": "yes"}
    client.post(LIST, chosen)
    assert Service.objects.get().unregistered_at is None
    assert client.get(f"{LIST}add/").status_code == 403


def test_to_edit_is_not_to_control(person: Person, make_service: MakeService) -> None:
    service = make_service()
    client = person("view_service", *EDITS)
    for verb in VERBS:
        assert client.post(page_of(service, verb)).status_code == 403
        client.post(LIST, {"_selected_action": [service.pk], "action": f"{verb}_selected"})
    assert untouched(service)
    assert 'name="_save"' in client.get(page_of(service)).content.decode()


def test_without_a_permission_nothing_is_seen(person: Person, make_service: MakeService) -> None:
    service = make_service()
    client = person()
    addresses = [LIST, f"{LIST}live/?id={service.pk}"]
    addresses += [page_of(service, what) for what in ("change", "observed", "history", "delete")]
    assert [client.get(address).status_code for address in addresses] == [403] * len(addresses)


def test_whoever_is_not_logged_in_or_not_of_the_staff_is_sent_to_the_login(
    client: Client, make_service: MakeService, django_user_model: type
) -> None:
    service = make_service()
    outsider = Client()
    outsider.force_login(django_user_model.objects.create_user("bob"))  # type: ignore[attr-defined]
    for somebody in (client, outsider):
        assert set(post_everything(somebody, service)) == {302}
        for address in (LIST, f"{LIST}live/", page_of(service), page_of(service, "observed")):
            assert "/admin/login/" in somebody.get(address).headers["Location"]
    assert untouched(service)


def test_nothing_is_done_without_the_forms_token(person: Person, make_service: MakeService) -> None:
    service = make_service()
    permissions = ("view_service", "control_service", *EDITS)
    client = person(*permissions, enforce_csrf_checks=True)
    assert set(post_everything(client, service)) == {403}
    assert untouched(service)


def test_looking_at_a_verbs_address_does_nothing(chief: Client, make_service: MakeService) -> None:
    service = make_service()
    for verb in VERBS:
        assert chief.get(page_of(service, verb)).status_code == 405
    assert untouched(service)


def test_supervisors_are_only_looked_at(chief: Client) -> None:
    page = chief.get("/admin/services/supervisor/")
    assert "elsewhere" in page.content.decode()
    for what in ("elsewhere/change/", "elsewhere/delete/", "add/"):
        assert chief.post(f"/admin/services/supervisor/{what}", {"post": "yes"}).status_code == 403
    assert Supervisor.objects.count() == 1


def test_supervisors_are_told_of_in_the_readers_language(chief: Client) -> None:
    page = chief.get("/admin/services/supervisor/", headers={"accept-language": "zh-hans"})
    text = page.content.decode()
    assert "监管进程" in text
    for english in ("upervisors<", "Node<", "Process<", "utomatic<", "Started at<", "Lease until<"):
        assert english not in text


@pytest.mark.both_databases
@pytest.mark.parametrize("fast_s", [-86_400, 86_400])
def test_who_is_in_charge_does_not_depend_on_the_sites_clock(
    chief: Client, monkeypatch: pytest.MonkeyPatch, fast_s: int
) -> None:
    Supervisor.objects.all().delete()
    for number, (left_s, ended_at) in enumerate([(60, None), (-1, None), (60, Now())]):
        Supervisor.objects.create(
            node=f"node-{number}",
            process="1",
            started_at=Now(),
            lease_until=Now() + timedelta(seconds=left_s),
            ended_at=ended_at,
        )
    wrong = timezone.now() + timedelta(seconds=fast_s)
    monkeypatch.setattr(timezone, "now", lambda: wrong)
    page = chief.get("/admin/services/supervisor/")
    shown = re.findall(r'field-is_in_charge"><img[^>]*alt="(\w+)"', page.content.decode())
    assert sorted(shown) == ["False", "False", "True"]


@pytest.mark.parametrize("model", ["instance", "healthcheck"])
def test_what_is_observed_has_no_pages_of_its_own(chief: Client, model: str) -> None:
    assert chief.get(f"/admin/services/{model}/").status_code == 404
