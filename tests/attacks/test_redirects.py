"""A link to the site leads to nowhere else, whatever is written in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
from django.contrib.auth.models import User

from tests.myagent_site.clients import at_another_machine

pytestmark = pytest.mark.django_db(transaction=True)

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example/",
    "/\t/evil.example/",
    "https:evil.example",
    "javascript:alert(1)",
    "http://192.0.2.1@evil.example/",
    "/%0d%0aSet-Cookie:%20a=b",
    "//192.0.2.1:8000@evil.example",
)
PATHS = (
    "//evil.example/admin",
    "//evil.example/%2e%2e",
    "/services/evil.example",
    "/services//evil.example/..",
    "/services/%2f%2fevil.example",
    "/services/%5cevil.example",
    "/admin//evil.example",
    "/services/%0d%0aLocation:%20https:%2f%2fevil.example",
    "/services/?next=https://evil.example/&//evil.example",
)


def host_of(location: str) -> str | None:
    """Where a browser goes to."""
    # Browsers take a backslash for a slash, and leave tabs and line breaks out.
    seen = location.replace("\\", "/").translate({9: None, 10: None, 13: None})
    return urlsplit(urljoin("http://192.0.2.1:8000/", seen)).hostname


@pytest.mark.parametrize("where", ELSEWHERE)
@pytest.mark.parametrize("login", ["/login/", "/admin/login/"])
async def test_a_login_leads_to_the_site_alone(login: str, where: str) -> None:
    await User.objects.acreate_superuser("root", password="a long secret")
    client = at_another_machine()
    form = {"username": "root", "password": "a long secret"}
    for address in (login, f"{login}?next={quote(where)}"):
        answer = await client.post(address, form | {"next": where})
        assert answer.status_code == 302
        assert host_of(answer.headers["Location"]) == "192.0.2.1"
    shown = await client.get(f"{login}?next={quote(where)}")
    assert shown.status_code in (200, 302)
    assert "evil.example" not in shown.headers.get("Location", "")


@pytest.mark.parametrize("auth", ["open", "token"])
@pytest.mark.parametrize("path", PATHS)
async def test_no_path_leads_to_another_site(settings: Any, auth: str, path: str) -> None:
    settings.MYAGENT_AUTH = auth
    answer = await at_another_machine().get(path, headers={"accept": "text/html"})
    assert answer.status_code < 500
    if (location := answer.headers.get("Location")) is not None:
        assert host_of(location) == "192.0.2.1"
        assert "\n" not in location and "\r" not in location
