"""The path of a host below which the site is: its form, and that no page forgets it."""

from __future__ import annotations

import re

import pytest

from myagent_site.base_path import normalized
from tests.runners import ROOT

SCRIPTS = [path for path in ROOT.glob("static/js/**/*.js") if path.name != "myagent.js"]
TEMPLATES = [*ROOT.glob("templates/**/*.html")]

OF_ROOT = re.compile(r"""(?:href|src|action|next)=["']?/""")
OF_ROOT_IN_SCRIPTS = re.compile(r"""["'`]/(?!["'`])\w""")
"""A text that begins like a path; a slash alone is a key on the keyboard, or part of one."""


@pytest.mark.parametrize("text", ["/agents/", "agents", " /agents ", "/agents"])
def test_a_path_may_be_written_in_any_way(text: str) -> None:
    assert normalized(text) == "/agents"


@pytest.mark.parametrize("text", ["", "/", "  "])
def test_the_root_is_no_path(text: str) -> None:
    assert normalized(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "/a b/",
        "/a//b/",
        "//evil.example/",
        "/a//",
        "/a/../b/",
        "https://example.com/a/",
        "/a?b",
        "/a%20b",
        "/ä/",
        '/"/',
    ],
)
def test_what_is_no_plain_path_is_refused_by_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="MYAGENT_BASE_PATH must be a path"):
        normalized(text)


@pytest.mark.parametrize("page", TEMPLATES, ids=lambda page: page.name)
def test_no_page_names_an_address_at_the_root_of_the_host(page: object) -> None:
    assert OF_ROOT.findall(page.read_text("utf-8")) == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_script_names_an_address_at_the_root_of_the_host(script: object) -> None:
    assert OF_ROOT_IN_SCRIPTS.findall(script.read_text("utf-8")) == []  # type: ignore[attr-defined]
