"""The locks pin everything, within what the project asks for, under licences that we can take."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from myagent_site.sbom import PIN, licence_in
from tests.runners import ROOT

LOCKS = ("requirements-embedded.txt", "requirements.txt", "requirements-dev.txt")
OF_LOCK = {
    "requirements-embedded.txt": (),
    "requirements.txt": ("production",),
    "requirements-dev.txt": ("production", "dev", "mysql-example"),
}

PERMISSIVE = re.compile(
    r"(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|ZPL|TCL|Zope)[\w .,-]*", re.IGNORECASE
)
OTHERS = {
    "mysqlclient": "GPL-2.0-or-later: used unchanged, as a driver, where MySQL is",
    "orjson": "MPL-2.0 for a part: its own files alone are under it, unchanged",
}
"""Under other licences, and why we can take them."""


def pins(lock: str) -> dict[str, Version]:
    found = {}
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = PIN.fullmatch(line)
            assert pin, f"{lock} does not pin one version: {line}"
            found[canonicalize_name(pin["name"])] = Version(pin["version"])
    return found


@pytest.mark.parametrize("lock", [*LOCKS, *sorted(ROOT.glob("tests/frameworks/*.txt"))], ids=str)
def test_a_lock_pins_each_package_once(lock: str) -> None:
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    assert len(pins(lock)) == sum(bool(line) and not line.startswith("#") for line in lines)


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_within_what_the_project_asks_for(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in OF_LOCK[lock]:
        wanted += project["optional-dependencies"][extra]
    found = pins(lock)
    for requirement in map(Requirement, wanted):
        pinned = found.get(canonicalize_name(requirement.name))
        assert pinned is not None, requirement
        assert requirement.specifier.contains(pinned), (requirement, pinned)


def test_the_locks_agree() -> None:
    embedded, production, development = map(pins, LOCKS)
    assert embedded.items() <= production.items() <= development.items()


def test_what_is_installed_with_the_site_may_be() -> None:
    others = {}
    for name in pins("requirements.txt"):
        licences = licence_in(metadata(name))
        assert licences, f"{name} has no licence"
        for licence in licences:
            said = licence.get("expression") or licence["license"]["name"]
            parts = re.split(r"\s+(?:AND|OR)\s+|\s*/\s*", said.strip("()"))
            if not all(PERMISSIVE.fullmatch(part.strip("() ")) for part in parts):
                others[name] = said
    assert others.keys() == OTHERS.keys(), others


def test_the_javascript_is_locked_to_the_versions_that_are_asked_for() -> None:
    folder = ROOT / "frontend"
    asked = json.loads((folder / "package.json").read_text("utf-8"))
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in (asked["dependencies"] | asked["devDependencies"]).items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all(each.get("integrity") for name, each in locked.items() if name)
