"""Looks at the variables that look like settings, for `names` to judge."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from myagent.agent_env import is_of_models
from services.doctor import names
from services.doctor.finding import Finding

NOT_SETTINGS = frozenset({"MYAGENT_INSTANCE", "MYAGENT_LINK_KEY", "MYAGENT_IMAGE_TAG"})
"""What workers are given, and what deploy/compose.yaml reads."""

OF_TESTS = "MYAGENT_TEST_"


def look_at_names() -> Iterator[Finding]:
    strange = [
        name
        for name in settings.NAMES_LIKE_SETTINGS
        if name not in settings.OPTION_VALUES
        and name not in NOT_SETTINGS
        and name not in settings.MYAGENT_PASS_ENV
        and not is_of_models(name)
        and not name.startswith(OF_TESTS)
    ]
    return names.judge(strange, settings.OPTION_VALUES)
