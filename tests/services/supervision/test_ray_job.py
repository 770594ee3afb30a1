"""What a worker is as a job of a Ray cluster."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.supervision.launchers import ConfigurationRefused, LaunchSpec
from services.supervision.launchers.ray_job import (
    LEFT_OUT,
    MARK,
    Needs,
    RayOptions,
    job_of,
    needs_of,
)

FILE = Path("/srv/agents/it's an agent.py")
SPEC = LaunchSpec(
    instance_id="0b6c",
    command=(
        *(sys.executable, "-P", "-m", "myagent.worker", str(FILE)),
        *("--listen=0.0.0.0:0", "--instance=0b6c"),
    ),
    environment={"PYTHONPATH": "/srv/sdk", "OPENAI_API_KEY": "k", "PATH": "/own/bin"},
    folder=Path("/srv"),
    log=Path("/srv/var/logs/s/0b6c.log"),
)


def test_tags_say_which_nodes_a_worker_may_run_on() -> None:
    tags = ["en", "ray:cpus:0.5", "ray:gpus:1", "ray:gpu-box", "rayon"]
    assert needs_of(tags, 1.0) == Needs(0.5, 1.0, ("gpu-box",))


def test_without_tags_a_worker_takes_the_cpus_of_the_site() -> None:
    assert needs_of(["premium"], 0.25) == Needs(0.25)


@pytest.mark.parametrize("tag", ["ray:", "ray:cpus:two", "ray:cpus:-1", "ray:gpus:nan", "ray:a:b"])
def test_a_tag_that_ray_can_not_be_told_stops_the_start(tag: str) -> None:
    with pytest.raises(ConfigurationRefused) as caught:
        needs_of([tag], 1.0)
    assert tag in str(caught.value)


@given(st.lists(st.from_regex(r"(?!ray:)[\w.:-]{1,20}", fullmatch=True)))
def test_other_tags_mean_nothing_to_ray(tags: list[str]) -> None:
    assert needs_of(tags, 2.0) == Needs(2.0)


def test_a_job_has_the_id_of_its_instance_and_reserves_what_its_service_needs() -> None:
    spec = replace(SPEC, tags=("ray:gpu-box",), memory_limit_mb=512)
    job = job_of(spec, RayOptions(cpus=0.5))
    assert job["submission_id"] == "0b6c"
    assert job["entrypoint_num_cpus"] == 0.5
    assert job["entrypoint_memory"] == 512 * 1024 * 1024
    assert job["entrypoint_resources"] == {"gpu-box": 0.001}


def test_a_job_says_whose_it_is_to_those_who_know_the_mark() -> None:
    assert job_of(SPEC, RayOptions(mark="0f"))["metadata"] == {MARK: "0f"}
    assert job_of(SPEC, RayOptions())["metadata"] is None


def test_the_node_runs_its_own_python_with_the_uploaded_file() -> None:
    job = job_of(replace(SPEC, most_memory_mb=100), RayOptions())
    limit, run = job["entrypoint"].split("; ")
    assert limit == f"ulimit -d {100 * 1024}"
    words = shlex.split(run)
    assert words[words.index("python") :] == [
        "python",
        *SPEC.command[1:4],
        FILE.name,
        *SPEC.command[5:],
    ]
    assert job["runtime_env"]["working_dir"] == str(FILE.parent)
    assert job["runtime_env"]["py_modules"] == ["/srv/sdk/myagent"]
    assert set(LEFT_OUT) <= set(job["runtime_env"]["excludes"])
    assert ".env" in LEFT_OUT


def test_a_service_with_an_interpreter_of_its_own_keeps_it() -> None:
    spec = replace(SPEC, command=("/opt/py/bin/python", *SPEC.command[1:]))
    assert "/opt/py/bin/python" in shlex.split(job_of(spec, RayOptions())["entrypoint"])


def test_without_an_upload_the_file_is_where_it_is_registered() -> None:
    job = job_of(SPEC, RayOptions(is_uploaded=False))
    assert str(FILE) in shlex.split(job["entrypoint"])
    assert set(job["runtime_env"]) == {"env_vars"}


def test_a_job_gets_nothing_that_is_true_on_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("HOME", "/root")
    spec = replace(SPEC, environment={**SPEC.environment, "HOME": "/root"})
    variables = job_of(spec, RayOptions())["runtime_env"]["env_vars"]
    assert variables.pop("RAY_JOB_STOP_WAIT_TIME_S").isdecimal()
    # The service has a PATH of its own; HOME is this machine's.
    assert variables == {"OPENAI_API_KEY": "k", "PATH": "/own/bin"}


def test_what_the_site_says_of_surroundings_is_kept() -> None:
    given_by_site = {"pip": ["openai"], "env_vars": {"A": "1", "OPENAI_API_KEY": "site"}}
    runtime_env = job_of(SPEC, RayOptions(runtime_env=given_by_site))["runtime_env"]
    assert runtime_env["pip"] == ["openai"]
    assert runtime_env["env_vars"]["A"] == "1"
    assert runtime_env["env_vars"]["OPENAI_API_KEY"] == "k"
    assert given_by_site["env_vars"] == {"A": "1", "OPENAI_API_KEY": "site"}
