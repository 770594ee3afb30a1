"""The units for systemd are valid, and all that they name exists."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from agents.runtime.exit_status import CONFIGURATION_ERROR
from myagent_site.options import OPTIONS
from services.supervision.supervisor import GOODBYE_S
from tests.deploy.manifests import DEPLOY, parsed, unknown_settings
from tests.runners import ROOT

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DEFAULTS = {option.name: option.default for option in OPTIONS}


class _Values(dict[str, str]):
    """A section: a name that comes again adds a line to its value, as in systemd."""

    def __setitem__(self, name: str, value: str | list[str]) -> None:
        if isinstance(value, list) and isinstance(self.get(name), list):
            value = [*self[name], *value]
        super().__setitem__(name, value)  # type: ignore[arg-type]


def section(unit: Path, name: str = "Service") -> dict[str, str]:
    parser = configparser.ConfigParser(
        dict_type=_Values, strict=False, interpolation=None, delimiters=("=",)
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text("utf-8"))
    return dict(parser[name])


def command_of(unit: Path) -> list[str]:
    return shlex.split(section(unit)["ExecStart"].replace("%i", "weather"))


def test_there_is_a_unit_for_each_process_of_a_site() -> None:
    assert {command_of(unit)[2] for unit in UNITS} == {"serve", "supervise", "runagent"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_site_has_the_command_and_the_settings_of_a_unit(unit: Path) -> None:
    parsed(command_of(unit))
    assignments = shlex.split(section(unit)["Environment"])
    names = [assignment.partition("=")[0] for assignment in assignments]
    assert "MYAGENT_VAR_DIR" in names
    assert not unknown_settings(names)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_waits_for_what_tells_that_it_is_ready(unit: Path) -> None:
    """A worker's command does not: its service may be stopped."""
    tells = command_of(unit)[2] in ("serve", "supervise")
    assert section(unit).get("Type") == ("notify" if tells else None)
    # Before it serves it may migrate, which nothing may cut off.
    assert section(unit).get("TimeoutStartSec") == ("infinity" if tells else None)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_starts_again_what_has_no_database_for_however_long(unit: Path) -> None:
    assert float(section(unit)["RestartSec"]) >= 2
    assert section(unit, "Unit")["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_kills_nothing_before_its_grace_is_over(unit: Path) -> None:
    found = section(unit)
    ends_workers = command_of(unit)[2] != "supervise" and "external" not in found["Environment"]
    least_s = DEFAULTS["MYAGENT_SHUTDOWN_GRACE_S"] + GOODBYE_S + 10 if ends_workers else 20
    assert int(found["TimeoutStopSec"]) >= least_s
    # A worker gets SIGTERM from its supervisor alone.
    assert found["KillMode"] in ("process", "mixed")


def test_a_worker_comes_back_after_its_service_was_stopped() -> None:
    """`services stop` ends its command with status 0; the next one waits for `services start`."""
    found = section(DEPLOY / "systemd" / "myagent-worker@.service")
    assert found["Restart"] == "always"
    assert found["RestartPreventExitStatus"] == str(CONFIGURATION_ERROR)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    found = []
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/myagent", str(ROOT))
        found.append(tmp_path / unit.name)
        found[-1].write_text(text, "utf-8")
    arguments = ["systemd-analyze", "verify", "--man=no", *map(str, found)]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    assert not [line for line in result.stderr.splitlines() if "myagent" in line]
