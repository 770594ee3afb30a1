from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from myagent.lacking import REQUIREMENTS, lacking_requirement

ROOT = Path(__file__).parents[2]


def test_what_is_to_be_installed_is_what_the_project_itself_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*REQUIREMENTS.values()} <= {*project["dependencies"]}


def test_only_what_the_sdk_asked_for_is_its_own_lack() -> None:
    with pytest.raises(ImportError) as caught:
        raise ModuleNotFoundError("No module named 'openai'", name="openai")
    assert lacking_requirement(caught.value) is None
    assert lacking_requirement(ValueError("openai")) is None
