"""The compose files are valid, closed where they can be, and name only what there is."""

from __future__ import annotations

import ipaddress
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from myagent_site.options import OPTIONS
from services.supervision.supervisor import GOODBYE_S
from tests.deploy.manifests import DEPLOY, parsed, unknown_settings
from tests.runners import ROOT

FILES = sorted(DEPLOY.glob("compose*.yaml"))
OURS = "myagent-ws"
DEFAULTS = {option.name: option.default for option in OPTIONS}
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:?[-?])?([^}]*)\}")
OF_OTHERS = ("MYSQL_RANDOM_ROOT_PASSWORD", "SITE_HOST", "ACME_EMAIL", "ACME_SERVER")
OF_MODEL = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    return found


def interpolated(text: str, **values: str) -> str:
    """As compose does it: `${NAME:-default}`, `${NAME:?problem}`, `$$` for a dollar."""

    def value(found: re.Match[str]) -> str:
        name, operator, rest = found.groups()
        return values.get(name, rest if operator == ":-" else "given")

    return VARIABLE.sub(value, text).replace("$$", "$")


SITE = yaml.safe_load(interpolated((DEPLOY / "compose.yaml").read_text("utf-8")))
SERVICES: dict[str, dict[str, Any]] = SITE["services"]


def validate(path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_fits_the_schema_of_the_compose_specification(file: Path, tmp_path: Path) -> None:
    filled = tmp_path / file.name
    filled.write_text(interpolated(file.read_text("utf-8")), "utf-8")
    for path in (file, filled):
        found = validate(path)
        assert found.returncode == 0, found.stdout


def test_the_schema_finds_a_misspelt_field(tmp_path: Path) -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(text.replace("stop_grace_period", "stop_grace_time"), "utf-8")
    assert validate(wrong).returncode != 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_variable_is_written_by_prepare_or_has_a_default(file: Path) -> None:
    example = (DEPLOY / ".env.example").read_text("utf-8")
    known = set(re.findall(r"^#?(\w+)=", example, re.MULTILINE))
    for name, operator, _ in VARIABLE.findall(file.read_text("utf-8")):
        assert operator == ":-" or name in known, name


@pytest.mark.parametrize("name", [*SERVICES, "agent", "certbot"])
def test_no_container_runs_as_root_or_may_change_itself(name: str) -> None:
    of = {"agent": "compose.agent.yaml", "certbot": "compose.acme.yaml"}.get(name, "compose.yaml")
    service = yaml.safe_load(interpolated((DEPLOY / of).read_text("utf-8")))["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "privileged" not in service
    if name == "agent":
        assert re.search(r"^USER myagent$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    else:
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"])


def test_every_image_of_others_is_of_one_version() -> None:
    images = {service["image"] for service in SERVICES.values()}
    images |= {
        each["image"] for each in read("compose.acme.yaml")["services"].values() if "image" in each
    }
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    assert base
    for image in {*images, base[1]}:
        assert re.search(r":v?\d+\.\d+\.\d+(-|$)", image) or image.startswith(f"{OURS}:"), image


def test_every_server_says_how_it_is() -> None:
    for name, service in SERVICES.items():
        check = service["healthcheck"]
        assert check.get("test") or name == "worker", name


def test_the_site_has_each_command_and_option() -> None:
    site = parsed(SERVICES["site"]["command"])
    assert (site.host, site.port, site.processes) == ("0.0.0.0", 8000, 2)
    worker = parsed(SERVICES["worker"]["command"])
    assert (worker.service, worker.bind[0]) == ("weather", "0.0.0.0")
    [alone] = read("compose.agent.yaml")["services"].values()
    assert alone["command"][:2] == ["myagent-ws", "server"]
    options = parsed(["python", "manage.py", "runagent", *alone["command"][2:]])
    assert (options.host, options.port) == ("0.0.0.0", 8080)


def test_the_site_has_each_setting() -> None:
    names = {name for each in SERVICES.values() for name in each.get("environment", {})}
    assert {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MYAGENT_TRUSTED_PROXIES"} <= names
    assert not unknown_settings(names) - set(OF_OTHERS)
    alone = read("compose.agent.yaml")["services"]["agent"]["environment"]
    assert not unknown_settings(alone) - set(OF_MODEL)


def test_nothing_is_killed_before_its_grace_is_over() -> None:
    least_s = DEFAULTS["MYAGENT_SHUTDOWN_GRACE_S"] + GOODBYE_S + 10
    for name in ("site", "worker"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= least_s


def test_the_site_believes_nginx_and_nobody_else() -> None:
    networks = {name: each["networks"] for name, each in SERVICES.items()}
    nginx = networks["nginx"]["edge"]["ipv4_address"]
    assert SERVICES["site"]["environment"]["MYAGENT_TRUSTED_PROXIES"] == nginx
    [subnet] = SITE["networks"]["edge"]["ipam"]["config"]
    network = ipaddress.ip_network(subnet["subnet"])
    for name in ("nginx", "site"):
        assert ipaddress.ip_address(networks[name]["edge"]["ipv4_address"]) in network


def test_databases_are_reached_by_the_site_alone() -> None:
    assert SITE["networks"]["data"]["internal"] is True
    for name in ("mysql", "redis"):
        assert SERVICES[name]["networks"] == ["data"]
        assert "ports" not in SERVICES[name]
    assert "data" not in SERVICES["nginx"]["networks"]


def test_nginx_knows_the_server_by_its_name_and_port() -> None:
    servers = (DEPLOY / "nginx/servers.compose.conf").read_text("utf-8")
    assert f"server site:{SERVICES['site']['command'][6]} " in servers
    listening = set(re.findall(r"listen (\d+)", (DEPLOY / "nginx.conf").read_text("utf-8")))
    assert {port.rpartition(":")[2] for port in SERVICES["nginx"]["ports"]} == listening


def test_what_is_mounted_is_there_or_made_by_prepare() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith(("./", "../")):
                assert (DEPLOY / source).exists() or source in ("./tls", "./acme"), source
            else:
                assert source in SITE["volumes"]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with what `deploy/prepare` needs."""
    for name in ("prepare", ".env.example"):
        shutil.copy(DEPLOY / name, tmp_path)
    return tmp_path


def prepare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(folder / "prepare"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_prepare_writes_secrets_and_a_certificate_once(copy: Path) -> None:
    assert prepare(copy, "agents.example.com").returncode == 0
    env = copy / ".env"
    written = env.read_text("utf-8")
    values = dict(re.findall(r"^(\w+)=(.*)$", written, re.MULTILINE))
    assert values["SITE_HOST"] == "agents.example.com"
    assert len(values["SECRET_KEY"]) == 64
    assert len(values["MYSQL_PASSWORD"]) == 32
    assert re.fullmatch(r"[1-9]\d*:\d+", values["PROXY_USER"])
    for secret in (env, copy / "tls/privkey.pem"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    certificate = (copy / "tls/fullchain.pem").read_bytes()
    shown = subprocess.run(
        ["openssl", "x509", "-noout", "-checkhost", "agents.example.com"],
        input=certificate, capture_output=True, check=True,
    )  # fmt: skip
    assert b"does match" in shown.stdout
    assert "stays" not in prepare(copy, "agents.example.com").stderr
    other = prepare(copy, "other.example.com")
    assert other.returncode == 0
    assert "stays that of 'agents.example.com'" in other.stderr
    assert env.read_text("utf-8") == written
    assert (copy / "tls/fullchain.pem").read_bytes() == certificate


NO_HOSTS = ("a b", "x;y", "--help", "-h", "a.-b", "a-.b", "a..b", ".", "a.", "")


@pytest.mark.parametrize("arguments", [(), *((host,) for host in NO_HOSTS), ("a.example.com", "b")])
def test_prepare_says_how_it_is_called(copy: Path, arguments: tuple[str, ...]) -> None:
    found = prepare(copy, *arguments)
    assert (found.returncode, found.stderr[:6]) == (2, "Usage:")
    assert not (copy / ".env").exists()


def test_what_the_page_says_can_not_be_set_is_what_compose_sets() -> None:
    """A value with a default of the file's is compose's word only if nothing else is given."""
    read = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["x-site"]["environment"]
    given = {name for name, value in read.items() if f"${{{name}:" in value}
    page = (ROOT / "docs/deploying.md").read_text("utf-8")
    [row] = re.findall(r"^\| any of \[the settings\].*; but (.*)$", page, re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", row)) - {"SITE_HOST"} == set(read) - given


def test_no_secret_is_in_the_files() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {"/deploy/.env", "/deploy/tls/", "/deploy/acme/"} <= set(ignored)
    example = (DEPLOY / ".env.example").read_text("utf-8")
    assert re.search(r"^SECRET_KEY=$", example, re.MULTILINE)
    assert re.search(r"^MYSQL_PASSWORD=$", example, re.MULTILINE)
