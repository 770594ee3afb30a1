"""Nobody who has not logged in gets past a route that is not open by intention."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.runtime.http.safe_headers import SAFE_HEADERS
from tests.databases import fresh_database
from tests.runners import ROOT

from .every_route import path_of

pytestmark = pytest.mark.processes

ROLES = ("site", "pages", "own port", "single agent")
SIGN_IN = {"login/": "asks for a login", "health": "says that it serves", "^static/": "files"}
ADMIN = {"admin/login/": "asks for a login", "admin/logout/": "leads to the login"}
READY = {"health/ready": "says that it can serve"}
ALONE = SIGN_IN
WHOLE = SIGN_IN | ADMIN | READY

CLOSED_SITE = {"site": WHOLE, "pages": WHOLE, "own port": ALONE, "single agent": ALONE}
"""What is open with `MYAGENT_AUTH=token`, by the role of a process, and why."""

TRACES = {
    "^traces/?$": "the frame of a page: what it shows comes over REST",
    "^traces/compare/?$": "the same",
    "^traces/(?P<id>[^/]+)/?$": "the same",
}
CHATS = {
    "": "which agents there are, for who may see them",
    "^services/?$": "leads to the home page",
    "services/<str:name>/": "an agent's chat",
    "services/<str:name>": "leads to it",
}
API = {
    "^api/schema/?$": "describes the interface, and nothing that is in it",
    "^docs/?$": "the same",
    "api/": "nothing",
}
OPEN_SITE = {
    "site": WHOLE | TRACES | CHATS | API,
    "pages": WHOLE | TRACES | CHATS | API | {"^services/(?P<name>[^/]+)/?$": "where the chat is"},
    "own port": ALONE | {"": "an agent's chat"},
    "single agent": ALONE | TRACES | {"": "an agent's chat"},
}
"""The same of an open site, for who comes from another machine."""

REFUSED = (401, 403, 405)

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=["token", "open"])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, dict[str, str]], Found]:
    """What is open by intention, and what every route answered."""
    folder: Path = tmp_path_factory.mktemp("routes")
    with fresh_database(folder) as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.attacks.every_route"],
            cwd=ROOT,
            env=os.environ
            | {
                "DATABASE_URL": url,
                "MYAGENT_VAR_DIR": str(folder),
                "MYAGENT_ENV_FILE": os.devnull,
                "MYAGENT_SUPERVISOR": "external",
                "MYAGENT_AUTH": request.param,
                "SECRET_KEY": "for tests only",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return CLOSED_SITE if request.param == "token" else OPEN_SITE, json.loads(done.stdout)


def is_refused(answer: dict[str, Any]) -> bool:
    leads_to_login = answer["leads_to"].startswith(("/login/?next=/", "/admin/login/?next=/"))
    if answer["leads_to"] == "/login/":  # Of who has no login to end.
        leads_to_login = True
    return answer["status"] in REFUSED or (answer["status"] == 302 and leads_to_login)


@pytest.mark.parametrize("role", ROLES)
def test_exactly_those_routes_are_open_that_are_meant_to_be(asked: Any, role: str) -> None:
    meant, found = asked
    is_open = {
        route
        for route, each in found[role].items()
        if not all(map(is_refused, each["answers"].values()))
    }
    assert is_open == set(meant[role])


@pytest.mark.parametrize("role", ROLES)
def test_no_route_fails_whatever_the_method(asked: Any, role: str) -> None:
    _, found = asked
    statuses = {
        (route, method): answer["status"]
        for route, each in found[role].items()
        for method, answer in each["answers"].items()
    }
    # An agent that was not started says so.
    failed = {key for key, status in statuses.items() if status >= 500 and key[0] != "health"}
    assert not failed


@pytest.mark.parametrize("role", ROLES)
def test_every_answer_says_what_browsers_must_not_do_with_it(asked: Any, role: str) -> None:
    _, found = asked
    names = {name.decode() for name, _ in SAFE_HEADERS}
    for route, each in found[role].items():
        for method, answer in each["answers"].items():
            headers = answer["headers"]
            said = [name for name, _ in headers if name in names]
            assert sorted(said) == sorted(names), (route, method, headers)
            policy = dict(headers)["content-security-policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy and "*" not in policy
            assert "server" not in dict(headers)


def test_cookies_are_for_the_site_alone_and_not_for_scripts(asked: Any) -> None:
    _, found = asked
    cookies = [
        value.lower()
        for routes in found.values()
        for each in routes.values()
        for answer in each["answers"].values()
        for name, value in answer["headers"]
        if name == "set-cookie"
    ]
    assert cookies
    for cookie in cookies:
        assert "samesite=lax" in cookie and "domain=" not in cookie
        # The site's own scripts send the token of forms in a header.
        assert "httponly" in cookie or cookie.startswith("myagent_csrf=")


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("^api/schema/?$", "/api/schema"),
        ("admin/<int:id>/<path:object_id>/change/", "/admin/1/1/change/"),
        ("^traces/(?P<id>[^/]+)/?$", "/traces/x"),
        (r"admin/^(?P<url>.*)$", "/admin/x"),
    ],
)
def test_a_route_has_an_example(route: str, path: str) -> None:
    assert path_of(route) == path
