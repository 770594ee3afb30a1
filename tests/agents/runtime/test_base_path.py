"""A site below a path of its host: what is within it, and what browsers are told."""

from __future__ import annotations

from typing import Any

import pytest

from agents.runtime.base_path import address, below, path_within


def scope(path: str, raw: str | None = None) -> dict[str, Any]:
    return {"path": path, "raw_path": (raw or path).encode()}


@pytest.mark.parametrize(
    "asked, within",
    [
        ("/agents/console", "/console"),
        ("/agents/", "/"),
        ("/agents", "/"),
        # Past the proxy, or through one that takes the base away.
        ("/health", "/health"),
        ("/", "/"),
        # Another path that begins alike.
        ("/agentsmith/", "/agentsmith/"),
        # The base once more is a path of the site.
        ("/agents/agents/x", "/agents/x"),
    ],
)
def test_a_request_is_taken_from_the_root_of_the_site(asked: str, within: str) -> None:
    found = below(scope(asked), "/agents")
    assert (found["root_path"], found["path"]) == ("/agents", f"/agents{within}")
    assert found["raw_path"] == f"/agents{within}".encode()
    assert path_within(found) == within


def test_what_is_encoded_within_it_stays_so() -> None:
    found = below(scope("/agents/ws/chat/a/b", "/agents/ws/chat/a%2Fb"), "/agents")
    assert found["raw_path"] == b"/agents/ws/chat/a%2Fb"


def test_a_base_that_is_written_in_another_way_is_the_base() -> None:
    found = below(scope("/agents/x", "/%61gents/x"), "/agents")
    assert (path_within(found), found["raw_path"]) == ("/x", None)


def test_a_scope_of_a_site_at_the_root_has_its_path() -> None:
    assert path_within({"path": "/agents/x"}) == "/agents/x"


@pytest.mark.parametrize("base", ["", "/agents", "/a/b"])
def test_an_address_is_below_the_base(settings: Any, base: str) -> None:
    settings.MYAGENT_BASE_PATH = base
    assert address("/docs") == f"{base}/docs"
