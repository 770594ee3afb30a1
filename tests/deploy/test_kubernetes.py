"""The manifests for Kubernetes are valid, and all that they name exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from myagent_site.options import OPTIONS
from myagent_site.urls import urlpatterns
from services.supervision.supervisor import GOODBYE_S
from tests.deploy.manifests import DEPLOY, parsed, unknown_settings

OLDEST = "1.27"
"""The oldest version of Kubernetes that the manifests are for."""

FILES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DEFAULTS = {option.name: option.default for option in OPTIONS}


def documents() -> list[dict[str, Any]]:
    return [one for file in FILES for one in yaml.safe_load_all(file.read_text("utf-8"))]


def of_kind(kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in documents() if one["kind"] == kind)


def containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each container of each pod, with the pod."""
    for deployment in of_kind("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        for container in pod["containers"]:
            yield pod, container


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_each_manifest_fits_the_schema_of_kubernetes(version: str) -> None:
    assert len(documents()) >= 5
    for document in documents():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_finds_a_misspelt_field() -> None:
    deployment = next(of_kind("Deployment"))
    deployment["spec"]["template"]["spec"]["terminationGraceSeconds"] = 60
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, OLDEST, strict=True)


def test_the_site_has_each_command_and_option_of_the_manifests() -> None:
    commands = set()
    for _, container in containers():
        words = [*container["command"], *container["args"]]
        options = parsed([word.replace("$(POD_IP)", "10.1.2.3") for word in words])
        [port] = [each["containerPort"] for each in container["ports"]]
        commands.add(words[2])
        if words[2] == "serve":
            assert (options.host, options.port) == ("0.0.0.0", port)
        else:
            assert (options.bind, options.advertise) == (("0.0.0.0", port), ("10.1.2.3", port))
    assert commands == {"serve", "runagent"}


def test_the_site_has_each_setting_of_the_manifests() -> None:
    names = set()
    for document in documents():
        names |= set(document.get("data", {})) | set(document.get("stringData", {}))
    assert {"SECRET_KEY", "DATABASE_URL", "MYAGENT_AUTH"} <= names
    assert not unknown_settings(names)


def test_the_site_has_each_path_that_is_probed() -> None:
    paths = {f"/{pattern.pattern}" for pattern in urlpatterns}
    probed = set()
    for _, container in containers():
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            if path := container.get(probe, {}).get("httpGet", {}).get("path"):
                probed.add(path)
    assert probed == {"/health/ready"}
    assert probed <= paths


def test_each_reference_between_the_manifests_has_its_object() -> None:
    names = {(one["kind"], one["metadata"]["name"]) for one in documents()}
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in of_kind("Deployment")]
    for pod, container in containers():
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        for source in container["envFrom"]:
            for kind, reference in source.items():
                is_there = (kind.removesuffix("Ref").capitalize(), reference["name"]) in {
                    (kind.capitalize(), name) for kind, name in names
                }
                assert is_there or reference.get("optional")
    selectors = [one["spec"]["selector"] for one in of_kind("Service")]
    for kind in ("Deployment", "PodDisruptionBudget"):
        selectors += [one["spec"]["selector"]["matchLabels"] for one in of_kind(kind)]
    for selector in selectors:
        assert any(selector.items() <= labels.items() for labels in pods), selector


def test_kubernetes_kills_nothing_before_its_grace_is_over() -> None:
    for pod, container in containers():
        grace_s = pod["terminationGracePeriodSeconds"]
        if "runagent" in container["command"]:
            assert grace_s >= DEFAULTS["MYAGENT_SHUTDOWN_GRACE_S"] + GOODBYE_S + 10
        else:
            [_, pause] = container["lifecycle"]["preStop"]["exec"]["command"]
            assert grace_s >= int(pause) + 20


def test_no_image_comes_from_a_registry_by_itself() -> None:
    for _, container in containers():
        assert "/" not in container["image"]
