"""The Dockerfile's steps, as `image_root` carries them out without an engine."""

from __future__ import annotations

import pytest

from tests.deploy.dockerfile import Step, stages
from tests.runners import ROOT

TEXT = """
# A comment.
ARG BASE=debian:12
FROM ${BASE} AS build
RUN one \\
    # Within a step.
    && two
FROM ${BASE}
COPY --from=build /a /b
ENV PATH=/opt/bin:$PATH \\
    NAME="two words"
HEALTHCHECK --interval=30s \\
    CMD ["check", "it"]
CMD ["serve", "it"]
"""


def test_the_steps_of_each_stage_are_found() -> None:
    build, image = stages(TEXT)
    assert (build.base, build.name, image.base, image.name) == (
        "debian:12",
        "build",
        "debian:12",
        "",
    )
    [step] = build.steps
    assert (step.instruction, step.words.split()) == ("RUN", ["one", "&&", "two"])
    assert image.steps[0] == Step("COPY", "--from=build /a /b")
    assert (image.command, image.health) == (["serve", "it"], ["check", "it"])
    assert image.environment["NAME"] == "two words"
    assert image.environment["PATH"].startswith("/opt/bin:/usr/local/bin:")


def test_what_is_no_instruction_is_an_error() -> None:
    with pytest.raises(ValueError, match="not an instruction"):
        stages("FROM a\nrun b\n")


def test_the_image_ends_without_root_and_with_exec_forms() -> None:
    image = stages((ROOT / "Dockerfile").read_text("utf-8"))[-1]
    assert image.last("USER") == "myagent"
    assert image.command == ["serve-agents"]
    assert image.health[0] == "python"
    assert image.environment["MYAGENT_VAR_DIR"] == image.last("VOLUME")[2:-2]
