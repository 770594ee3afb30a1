"""Which files may be registered from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.catalogue import agent_files
from services.errors import ServiceError


@pytest.mark.parametrize("name", ["echo.py\0", "echo\ud800.py", "x" * 5000])
def test_a_name_that_no_file_can_have_is_refused_as_any_other(
    settings: Any, tmp_path: Path, name: str
) -> None:
    settings.MYAGENT_AGENT_DIRS = [str(tmp_path)]
    with pytest.raises(ServiceError) as refused:
        agent_files.found(name, is_confined=True)
    assert refused.value.field == "agent_factory_path"
