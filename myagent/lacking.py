"""Packages that the SDK imports on demand and that an environment may lack. No I/O."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

_OPENAI = "openai[aiohttp]>=3,<4"
_JSONSCHEMA = "jsonschema>=4.23"

REQUIREMENTS = {
    "aiohttp": _OPENAI,
    "dotenv": "python-dotenv>=1",
    "httpx2": _OPENAI,
    "jsonschema": _JSONSCHEMA,
    "openai": _OPENAI,
    "pydantic": "pydantic>=2.10,<3",
    "referencing": _JSONSCHEMA,
}
"""What to install for the packages that the SDK imports."""

LOOKED_FOR = frozenset({*REQUIREMENTS, "httpx", "orjson"})
"""Names of modules that the SDK or the openai package uses as libraries if they are loaded."""

_SDK = Path(__file__).parent


def lacking_requirement(error: BaseException) -> str | None:
    """What to install, if the SDK could not import something that it needs."""
    if not isinstance(error, ImportError) or not _was_asked_by_sdk(error):
        return None
    return REQUIREMENTS.get((error.name or "").partition(".")[0])


def _was_asked_by_sdk(error: ImportError) -> bool:
    """Whether an import statement of the SDK failed, and not one of the agent's."""
    asker = None
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith("<frozen importlib"):
            asker = file
        traceback = traceback.tb_next
    return asker is not None and Path(asker).is_relative_to(_SDK)
