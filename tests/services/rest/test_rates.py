"""How often a client may ask something of its conversations; and where there are none."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User

from agents.ports import Refused
from agents.principals import Principal
from agents.runtime import limits
from services.rest.conversations.rates import Rates, Searches
from tests.agents.archive import stored
from tests.myagent_site.clients import at_this_machine

ADA, EVE = Principal("user:1", "ada"), Principal("user:2", "eve")


@pytest.fixture(autouse=True)
def slow(settings: Any) -> None:
    settings.MYAGENT_MESSAGES_PER_SECOND = 0.001
    settings.MYAGENT_MESSAGE_BURST = 2


def refused(rates: Rates, principal: Principal | None, session_id: str) -> bool:
    try:
        rates.count(principal, session_id)
    except Refused as error:
        assert (error.code, error.limit) == ("rate_limited", "messages_per_second")
        assert error.retry_after_s
        return True
    return False


def test_a_principal_has_one_rate_for_all_its_conversations() -> None:
    rates = Rates()
    assert [refused(rates, ADA, each) for each in "abc"] == [False, False, True]
    assert not refused(rates, EVE, "a")


def test_where_nobody_logs_in_each_conversation_has_one() -> None:
    rates = Rates()
    assert [refused(rates, None, each) for each in "aaab"] == [False, False, True, False]


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REMEMBERED", 2)
    rates = Rates()
    for each in "abcd":
        rates.count(None, each)
    assert len(rates._buckets) == 2


@pytest.mark.django_db(transaction=True)
async def test_a_process_without_conversations_says_so() -> None:
    session = await sync_to_async(stored.stored)("there", ends=False)
    client = at_this_machine()
    for path, body in (
        ("sessions", {}),
        (f"sessions/{session}/messages", {"content": "hi"}),
        (f"sessions/{session}/cancel", {}),
    ):
        answer = await client.post(f"/api/v1/{path}", body, content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
        assert answer["Retry-After"] == str(answer.json()["retry_after_s"]) == "1"
    assert (await client.get(f"/api/v1/sessions/{session}")).status_code == 200


def test_a_client_may_search_only_so_often(settings: Any) -> None:
    settings.MYAGENT_SEARCHES_PER_MINUTE = 1
    searches = Searches()
    searches.count("ada")
    with pytest.raises(Refused) as caught:
        searches.count("ada")
    error = caught.value
    assert (error.code, error.limit) == ("rate_limited", "searches_per_minute")
    assert error.retry_after_s == 60
    searches.count("eve")
    settings.MYAGENT_SEARCHES_PER_MINUTE = 0
    searches.count("ada")


@pytest.mark.django_db(transaction=True)
async def test_a_search_too_many_says_when_to_come_again(settings: Any) -> None:
    settings.MYAGENT_SEARCHES_PER_MINUTE = 1
    settings.MYAGENT_AUTH = "token"
    ada = await sync_to_async(User.objects.create_user)("searching")
    await ada.user_permissions.aadd(await Permission.objects.aget(codename="use_service"))
    client = at_this_machine()
    await client.aforce_login(ada)
    assert (await client.get("/api/v1/sessions?text=x")).status_code == 200
    answer = await client.get("/api/v1/sessions?text=x")
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    told = answer.json()
    assert (told["limit"], told["retry_after_s"]) == ("searches_per_minute", 60)
    assert (await client.get("/api/v1/sessions?text=")).status_code == 200
