"""Services over REST: registered, shown, changed, unregistered."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from services.catalogue import registry, secrets
from services.catalogue.agent_files import is_exposed, trusted
from services.models import Service, Supervisor

from .client import Client

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def fields(**more: Any) -> dict[str, Any]:
    return {"name": "echo", "agent_factory_path": "echo.py"} | more


def test_a_registered_service_is_shown_as_it_was_described(client: Client, agent_dir: Path) -> None:
    answer = client.post(
        "services",
        fields(
            description="Says it again 🦜", tags=["demo", "中文"], port=8081, replicas=2, weight=3,
            host="127.0.0.1", max_sessions=5, session_timeout_s=60.5, auto_restart=False,
            max_restart_count=2, restart_delay_s=0.5, memory_limit_mb=256,
        ),
    )  # fmt: skip
    assert answer.status == 201
    shown = answer.json
    assert shown["name"] == "echo"
    assert shown["description"] == "Says it again 🦜"
    assert shown["agent_factory_path"] == str((agent_dir / "echo.py").resolve())
    assert shown["tags"] == ["demo", "中文"]
    assert (shown["host"], shown["port"]) == ("127.0.0.1", 8081)
    assert (shown["replicas"], shown["weight"]) == (2, 3)
    assert (shown["status"], shown["desired"]) == ("stopped", "stopped")
    assert shown["config"] == {
        "max_sessions": 5,
        "session_timeout_s": 60.5,
        "auto_restart": False,
        "max_restart_count": 2,
        "restart_delay_s": 0.5,
        "memory_limit_mb": 256,
        "python": "",
    }
    assert client.get(answer.headers["location"]).json == shown
    assert client.get("services/echo").json == shown
    assert client.get(f"services/{shown['service_id']}").json == shown


def test_the_configuration_may_be_given_as_it_is_shown(client: Client) -> None:
    config = client.post("services", fields(config={"max_sessions": 7})).json["config"]
    assert config["max_sessions"] == 7
    assert client.put("services/echo", fields(config=config)).json["config"] == config


def test_of_what_is_given_twice_the_one_outside_the_configuration_counts(client: Client) -> None:
    answer = client.post("services", fields(max_sessions=1, config={"max_sessions": 2}))
    assert answer.json["config"]["max_sessions"] == 1


def test_an_external_service_is_registered_by_its_address(client: Client) -> None:
    shown = client.post("services", {"name": "billing", "url": "wss://billing.example/ws"}).json
    assert shown["url"] == "wss://billing.example/ws"
    assert shown["endpoint"].endswith("/services/billing/")


def test_the_agent_file_is_not_loaded_at_registration(client: Client) -> None:
    assert client.post("services", fields()).status == 201


def test_an_environment_is_stored_encrypted_and_never_shown(client: Client) -> None:
    answer = client.post("services", fields(environment={"APP_KEY": "s3cret", "APP_EMPTY": ""}))
    assert answer.status == 201
    stored = Service.objects.get().environment
    assert secrets.decrypt(stored) == {"APP_KEY": "s3cret", "APP_EMPTY": ""}
    said = [answer, *(client.get(path) for path in ("services", "services/echo", "stats"))]
    said += [client.patch("services/echo", {"weight": 2}), client.put("services/echo", fields())]
    for one in said:
        assert b'"environment"' not in one.body
        assert b"APP_KEY" not in one.body
        assert b"s3cret" not in one.body and stored.encode() not in one.body
    assert secrets.decrypt(Service.objects.get().environment)["APP_KEY"] == "s3cret"


def test_a_wrong_environment_is_refused_without_showing_its_values(client: Client) -> None:
    answer = client.post("services", fields(environment={"APP_KEY": "s3cret\0"}))
    assert answer.status == 400 and b"s3cret" not in answer.body
    answer = client.post("services", fields(environment={"APP_KEY": ["s3cret"]}))
    assert answer.status == 400 and b"s3cret" not in answer.body
    assert answer.json["field"] == "environment.APP_KEY"


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPATH", "PYTHONWARNINGS", "PYTHONSTARTUP", "LD_PRELOAD", "LD_LIBRARY_PATH"),
        *("PATH", "BROWSER", "HOME", "BASH_ENV", "DATABASE_URL", "SECRET_KEY", "MYAGENT_VAR_DIR"),
        *("DJANGO_SETTINGS_MODULE", "openai_api_key", "OPENAI", "XOPENAI_KEY", "HTTPS_PROXY"),
    ],
)
def test_what_could_run_code_is_no_variable_that_the_network_may_set(
    client: Client, agent_dir: Path, name: str
) -> None:
    refused = client.post("services", fields(environment={name: "x"}))
    assert (refused.status, refused.json["field"]) == (400, "environment")
    assert name in refused.json["detail"]
    # Nor for one that the command registered, with that very variable.
    path = str(agent_dir / "echo.py")
    kept = {"PYTHONSTARTUP": "/srv/lib", "APP_MODE": "x"}
    registry.register(name="echo", agent_factory_path=path, environment=kept)
    for ask in (client.patch, client.put):
        refused = ask("services/echo", fields(environment={"APP_MODE": "y", name: "/srv/lib"}))
        assert (refused.status, refused.json["field"]) == (400, "environment")
    assert client.patch("services/echo", {"weight": 2}).status == 200
    assert client.put("services/echo", fields()).status == 200
    assert secrets.decrypt(Service.objects.get().environment) == kept


def test_no_interpreter_is_chosen_over_the_network_but_one_that_is_set_stays(
    client: Client, agent_dir: Path
) -> None:
    refused = client.post("services", fields(python=sys.executable))
    assert (refused.status, refused.json["field"]) == (400, "python")
    path = str(agent_dir / "echo.py")
    registry.register(name="echo", agent_factory_path=path, python=sys.executable)
    shown = client.get("services/echo").json
    assert shown["config"]["python"] == sys.executable
    answer = client.put("services/echo", fields(weight=2, config=shown["config"]))
    assert (answer.status, answer.json["config"]["python"]) == (200, sys.executable)
    assert client.patch("services/echo", {"python": "/bin/sh"}).json["field"] == "python"
    assert client.patch("services/echo", {"python": ""}).json["config"]["python"] == ""


def test_a_refused_variable_is_refused_with_the_setting_that_would_allow_it(
    client: Client, settings: Any
) -> None:
    asked = fields(environment={"WEATHER_CITY": "Oslo"})
    assert "MYAGENT_ENV_ALLOWED" in client.post("services", asked).json["detail"]
    settings.MYAGENT_ENV_ALLOWED = ["WEATHER_CITY"]
    assert client.post("services", asked).status == 201


def test_the_model_of_a_service_is_set_over_the_network(client: Client) -> None:
    environment = {"OPENAI_BASE_URL": "http://localhost:1/v1", "LLM_MODEL": "m", "APP_MODE": "x"}
    assert client.post("services", fields(environment=environment)).status == 201
    assert secrets.decrypt(Service.objects.get().environment) == environment


def test_patching_changes_what_is_named_and_nothing_else(client: Client) -> None:
    before = client.post("services", fields(tags=["a"], weight=3, memory_limit_mb=64)).json
    after = client.patch("services/echo", {"description": "New", "memory_limit_mb": None}).json
    assert after == before | {
        "description": "New",
        "config": before["config"] | {"memory_limit_mb": None},
    }


def test_a_service_keeps_its_name(client: Client, echo: Service) -> None:
    for answer in (
        client.patch("services/echo", {"name": "parrot"}),
        client.put("services/echo", fields(name="parrot")),
    ):
        assert (answer.status, answer.code, answer.json["field"]) == (409, "name_is_fixed", "name")


def test_a_service_that_goes_while_it_is_changed_is_not_found(
    client: Client, echo: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_it_just_before_it_goes(_: str) -> Service:
        found = Service.objects.get()
        Service.objects.all().delete()
        return found

    monkeypatch.setattr(registry, "find", find_it_just_before_it_goes)
    answer = client.patch("services/echo", {"weight": 2})
    assert (answer.status, answer.code) == (404, "unknown_service")
    assert answer.json["detail"] == "There is no service 'echo'."


def test_a_service_that_goes_while_it_is_unregistered_is_gone(
    client: Client, echo: Service, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "unregister", lambda service: Service.objects.all().delete())
    assert client.delete("services/echo").status == 204


def test_putting_gives_what_is_left_out_its_default(client: Client) -> None:
    first = client.post("services", fields()).json
    client.patch("services/echo", {"tags": ["a"], "weight": 3, "port": 9000, "max_sessions": 4})
    assert client.put("services/echo", fields()).json == first


def test_a_service_registered_from_elsewhere_can_be_changed_but_not_moved(
    client: Client, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("")
    registry.register(name="echo", agent_factory_path=str(outside))
    whole = fields(agent_factory_path=str(outside), weight=9)
    assert client.put("services/echo", whole).json["weight"] == 9
    other = tmp_path / "other.py"
    other.write_text("")
    assert client.patch("services/echo", {"agent_factory_path": str(other)}).status == 400


def test_a_service_keeps_its_kind(client: Client, echo: Service) -> None:
    answer = client.patch("services/echo", {"url": "ws://elsewhere/", "agent_factory_path": ""})
    assert (answer.status, answer.code) == (400, "invalid")


def test_a_name_is_taken_once(client: Client, echo: Service) -> None:
    answer = client.post("services", fields(name="echo"))
    assert (answer.status, answer.code, answer.json["field"]) == (409, "name_taken", "name")


def test_a_service_that_has_the_id_of_another_as_its_name_does_not_hide_it(
    client: Client, echo: Service
) -> None:
    assert client.post("services", fields(name=echo.pk)).status == 201
    assert client.get(f"services/{echo.pk}").json["name"] == "echo"


def test_an_external_service_is_unregistered_at_once(client: Client, external: Service) -> None:
    assert client.delete("services/billing").status == 204
    assert client.get("services/billing").status == 404
    assert client.delete("services/billing").status == 404


def test_unregistering_is_carried_out_by_the_supervisor(
    client: Client, echo: Service, supervisor: Supervisor
) -> None:
    answer = client.delete("services/echo")
    assert (answer.status, answer.json["desired"]) == (202, "stopped")
    assert Service.objects.get().unregistered_at is not None


class TestConfinement:
    """What the network may name lies below the folders that MYAGENT_AGENT_DIRS names."""

    def refused(self, client: Client, path: str) -> bool:
        answer = client.post("services", fields(agent_factory_path=path))
        assert answer.status in (201, 400)
        if answer.status == 400:
            assert (answer.code, answer.json["field"]) == ("invalid", "agent_factory_path")
        return answer.status == 400

    @pytest.mark.parametrize(
        "path",
        [
            "../outside.py",
            "nothing.py",
            "/etc/passwd",
            "sub/../../outside.py",
            "~/outside.py",
            ".",
            "",
            "x" * 300,
            "x/" * 400 + "x.py",
            "x" * 2000,
            "echo.py\0",
            "file:///etc/passwd",
        ],
    )
    def test_what_is_outside_or_no_file_is_refused(
        self, client: Client, tmp_path: Path, path: str
    ) -> None:
        (tmp_path / "outside.py").write_text("")
        assert self.refused(client, path)

    def test_a_link_that_leads_outside_is_refused(
        self, client: Client, agent_dir: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "outside.py").write_text("")
        (agent_dir / "link.py").symlink_to(tmp_path / "outside.py")
        (agent_dir / "up").symlink_to(tmp_path)
        assert self.refused(client, "link.py")
        assert self.refused(client, "up/outside.py")

    def test_links_in_a_circle_are_refused(self, client: Client, agent_dir: Path) -> None:
        os.symlink(agent_dir / "b.py", agent_dir / "a.py")
        os.symlink(agent_dir / "a.py", agent_dir / "b.py")
        assert self.refused(client, "a.py")

    def test_a_link_is_resolved_when_it_is_registered(
        self, client: Client, agent_dir: Path
    ) -> None:
        (agent_dir / "link.py").symlink_to(agent_dir / "echo.py")
        shown = client.post("services", fields(agent_factory_path="link.py")).json
        assert shown["agent_factory_path"] == str((agent_dir / "echo.py").resolve())

    def test_without_folders_nothing_is_registered(self, client: Client, settings: Any) -> None:
        settings.MYAGENT_AGENT_DIRS = []
        assert self.refused(client, "echo.py")
        answer = client.post("services", fields(agent_factory_path="echo.py"))
        assert "start it with MYAGENT_AGENT_DIRS=." in answer.json["detail"]

    def test_folders_in_which_others_put_files_are_not_trusted(self, tmp_path: Path) -> None:
        own, open_to_all = tmp_path / "own", tmp_path / "open to all"
        own.mkdir()
        open_to_all.mkdir()
        open_to_all.chmod(0o777)
        given = ["/", str(open_to_all), str(tmp_path / "none"), str(own)]
        assert trusted(given) == [str(own)]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
    def test_a_folder_of_somebody_else_is_not_trusted(self, tmp_path: Path) -> None:
        os.chown(tmp_path, 12345, -1)
        assert trusted([str(tmp_path)]) == []

    def test_a_refusal_does_not_tell_what_is_there(self, client: Client, tmp_path: Path) -> None:
        (tmp_path / "outside.py").write_text("")
        sentences = []
        for name in ("outside.py", "absent.py"):
            path = str(tmp_path / name)
            answer = client.post("services", fields(agent_factory_path=path))
            sentences.append(answer.json["detail"].replace(path, "PATH"))
        assert sentences[0] == sentences[1]

    @pytest.mark.parametrize("exposed", ["echo.py", "."])
    def test_a_file_that_others_may_change_is_refused(
        self, client: Client, agent_dir: Path, settings: Any, exposed: str
    ) -> None:
        settings.MYAGENT_AGENT_DIRS = [str(agent_dir.parent)]
        path = "agents/echo.py"
        (agent_dir / exposed).chmod(0o1777)  # As /var/tmp is, below /var.
        answer = client.post("services", fields(agent_factory_path=path))
        assert (answer.status, answer.json["field"]) == (400, "agent_factory_path")
        assert f"may change {agent_dir / exposed}." in answer.json["detail"]
        (agent_dir / exposed).chmod(0o755)
        assert not self.refused(client, path)

    def test_the_innermost_allowed_folder_decides(
        self, client: Client, agent_dir: Path, settings: Any
    ) -> None:
        settings.MYAGENT_AGENT_DIRS = [str(agent_dir.parent), str(agent_dir)]
        agent_dir.chmod(0o777)
        assert not self.refused(client, str(agent_dir / "echo.py"))

    @pytest.mark.parametrize(
        ("mode", "user", "group", "is_so"),
        [
            (0o644, 1000, 1000, False),
            (0o644, 0, 0, False),
            (0o664, 1000, 1000, False),
            (0o664, 1000, 50, True),
            (0o664, 0, 0, True),
            (0o646, 1000, 1000, True),
            (0o644, 1001, 1000, True),
        ],
    )
    def test_what_only_the_sites_user_and_group_and_root_may_change_is_not_exposed(
        self, mode: int, user: int, group: int, is_so: bool
    ) -> None:
        found = os.stat_result((mode, 0, 0, 1, user, group, 0, 0, 0, 0))
        assert is_exposed(found, user=1000, group=1000) is is_so
