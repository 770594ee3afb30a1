"""The bill of materials holds to its schema, and leaves nothing out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from myagent_site.sbom import COPIED, UnknownPart, copied_parts, python_parts
from tests.runners import ROOT
from tests.supply.test_locks import LOCKS, pins


@pytest.fixture(scope="module", params=LOCKS)
def written(request: pytest.FixtureRequest) -> tuple[str, str]:
    command = [sys.executable, "-m", "myagent_site.sbom", "--lock", request.param]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return request.param, done.stdout


def parts(text: str) -> dict[str, dict[str, Any]]:
    return {part["purl"]: part for part in json.loads(text)["components"]}


def test_it_holds_to_the_schema(written: tuple[str, str]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written[1]) is None


def test_every_locked_package_is_in_it_with_its_licence(written: tuple[str, str]) -> None:
    lock, text = written
    found = parts(text)
    for name, version in pins(lock).items():
        assert found[f"pkg:pypi/{name}@{version}"]["licenses"] or lock == "requirements-dev.txt"


def test_every_copied_package_is_in_it_as_npm_has_it(written: tuple[str, str]) -> None:
    found = parts(written[1])
    folder = ROOT / "frontend"
    asked = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    assert {name for name, _ in COPIED.values()} == set(asked)
    for name, version in asked.items():
        part = found[f"pkg:npm/{name.replace('@', '%40')}@{version}"]
        assert part["licenses"] == [{"expression": locked[f"node_modules/{name}"]["license"]}]


def test_what_nobody_knows_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "newcomer").mkdir()
    with pytest.raises(UnknownPart, match="newcomer"):
        list(copied_parts(tmp_path))
    with pytest.raises(UnknownPart, match="django>=5"):
        list(python_parts(["django>=5"]))


def test_the_image_has_one() -> None:
    assert "-m myagent_site.sbom >sbom.json" in (ROOT / "Dockerfile").read_text("utf-8")
