"""Settings for services that can't work are told before anything starts."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from services import checks


@pytest.fixture
def ray(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> LazySettings:
    """Settings with which workers start on a cluster, where Ray is installed."""
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: name)
    settings.MYAGENT_LAUNCHER = "ray"
    settings.RAY_ADDRESS = "http://127.0.0.1:8265"
    settings.MYAGENT_RAY_ENV = '{"pip": ["openai"], "env_vars": {"A": "1"}}'
    return settings


def said() -> str:
    return " ".join(str(error.msg) for error in checks.check_ray())


def test_a_cluster_that_is_set_completely_is_accepted(ray: LazySettings) -> None:
    assert not said()


@pytest.mark.parametrize("address", ["", "auto", "ray://head:10001", "head:8265"])
def test_ray_is_reached_through_its_job_server_alone(ray: LazySettings, address: str) -> None:
    ray.RAY_ADDRESS = address
    assert "RAY_ADDRESS" in said()


@pytest.mark.parametrize("text", ["{", "[]", "pip", '{"env_vars": "A=1"}'])
def test_what_ray_is_to_prepare_is_a_json_object(ray: LazySettings, text: str) -> None:
    ray.MYAGENT_RAY_ENV = text
    assert "MYAGENT_RAY_ENV" in said()


def test_where_ray_is_missing_the_sentence_says_how_to_install_it(
    ray: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    assert "pip install" in said()


def test_a_site_without_a_cluster_needs_none_of_it(settings: LazySettings) -> None:
    settings.RAY_ADDRESS, settings.MYAGENT_RAY_ENV = "", ""
    assert not said()


def test_a_port_for_metrics_that_no_port_can_be_is_a_sentence(settings: LazySettings) -> None:
    settings.MYAGENT_METRICS_PORT = 65_535
    assert checks.check_ports() == []
    settings.MYAGENT_METRICS_PORT = 99_999
    [error] = checks.check_ports()
    assert error.msg == "MYAGENT_METRICS_PORT must be at most 65535, not 99999."
