"""Packages of which some modules are imported without all the others."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import ClassVar

import pytest

from myagent import threads
from myagent.models import package
from myagent.models import unread as module
from myagent.models.unread import unread
from tests.fake_model import fake_model_process
from tests.importing import loaded_by

OWN = """
from pkg_unread import read
read.append(__name__)
from .deep import part
from .light import LIGHT
HEAVY = "heavy"
__all__ = ["HEAVY", "LIGHT"]
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever threads other tests have left."""
    monkeypatch.setattr(module, "is_alone", lambda: True)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The packages `unread_one` and `unread_one.deep` can be imported; those that were executed."""
    folder = tmp_path / "unread_one"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "pkg_unread.py").write_text("read = []")
    (folder / "__init__.py").write_text(OWN)
    (folder / "light.py").write_text("from . import other\nfrom .deep.part import PART\nLIGHT = 1")
    (folder / "other.py").write_text("OTHER = 2")
    (folder / "broken.py").write_text("import a_package_that_is_not_there")
    (folder / "deep" / "__init__.py").write_text(
        "from pkg_unread import read\nread.append(__name__)\nDEEP = 3\n"
    )
    (folder / "deep" / "part.py").write_text("PART = 4")
    (folder / "deep" / "more.py").write_text("MORE = 5")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    importlib.invalidate_caches()
    names: list[str] = importlib.import_module("pkg_unread").read
    yield names
    for name in [each for each in sys.modules if each.startswith(("unread_one", "pkg_unread"))]:
        del sys.modules[name]


def import_light() -> object:
    with unread("unread_one", "unread_one.deep"):
        return importlib.import_module("unread_one.light")


def test_a_module_is_imported_without_its_package(read: list[str]) -> None:
    assert getattr(import_light(), "LIGHT") == 1  # noqa: B009
    assert read == []


def test_who_imports_the_package_gets_all_of_it_with_the_modules_that_are_there(
    read: list[str],
) -> None:
    light = import_light()
    part = sys.modules["unread_one.deep.part"]
    whole = importlib.import_module("unread_one")
    assert (whole.HEAVY, whole.LIGHT, whole.deep.DEEP) == ("heavy", 1, 3)
    assert whole.light is light
    assert whole.deep.part is part
    assert whole.other.OTHER == 2
    assert read == ["unread_one", "unread_one.deep"]
    assert resources.files(whole).joinpath("light.py").is_file()
    assert inspect.getsource(whole).endswith(OWN)
    assert importlib.reload(whole).light is light


def test_a_module_of_it_is_imported_after_the_package_as_always(read: list[str]) -> None:
    import_light()
    assert importlib.import_module("unread_one.deep.more").MORE == 5
    assert read == ["unread_one", "unread_one.deep"]


def test_names_are_imported_as_from_any_package(read: list[str]) -> None:
    import_light()
    names: dict[str, object] = {}
    exec("from unread_one import *; from unread_one.deep import DEEP", names)
    assert (names["HEAVY"], names["LIGHT"], names["DEEP"]) == ("heavy", 1, 3)


def test_one_that_fails_is_executed_again(read: list[str], tmp_path: Path) -> None:
    own = tmp_path / "unread_one" / "__init__.py"
    own.write_text("raise RuntimeError('not yet')")
    light = import_light()
    with pytest.raises(RuntimeError, match="not yet"):
        importlib.import_module("unread_one")
    own.write_text("HEAVY = 'at last'")
    importlib.invalidate_caches()
    whole = importlib.import_module("unread_one")
    assert (whole.HEAVY, whole.light) == ("at last", light)


def test_the_package_can_be_looked_into_before_it_is_imported(read: list[str]) -> None:
    import_light()
    assert pkgutil.get_data("unread_one", "light.py") is not None
    spec = importlib.util.find_spec("unread_one")
    assert spec is not None
    source = getattr(spec.loader, "get_source")  # noqa: B009
    assert source("unread_one") == OWN


def test_a_package_that_is_imported_already_is_left_as_it_is(read: list[str]) -> None:
    whole = importlib.import_module("unread_one")
    with pytest.raises(ImportError, match="unread_one is imported already"):
        import_light()
    assert importlib.import_module("unread_one") is whole
    assert sorted(read) == ["unread_one", "unread_one.deep"]


def test_where_another_thread_might_import_it_nothing_is_left_unread(
    read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "is_alone", threads.is_alone)
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait)
    other.start()
    try:
        with pytest.raises(ImportError, match="other threads"):
            import_light()
    finally:
        is_over.set()
        other.join()
    assert "unread_one" not in sys.modules


def test_one_that_can_not_be_imported_leaves_what_could_be(read: list[str]) -> None:
    missing = pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there")
    with missing, unread("unread_one", "unread_one.deep"):
        importlib.import_module("unread_one.light")
        importlib.import_module("unread_one.broken")
    assert "unread_one" not in sys.modules
    whole = importlib.import_module("unread_one")
    assert (whole.HEAVY, whole.light.LIGHT) == ("heavy", 1)


def test_a_package_that_is_taken_away_and_imported_again_has_modules_of_one_kind(
    read: list[str],
) -> None:
    import_light()
    for name in [each for each in sys.modules if each.startswith("unread_one")]:
        del sys.modules[name]
    whole = importlib.import_module("unread_one")
    assert whole.light is sys.modules["unread_one.light"]


def test_who_looks_at_every_import_sees_those_of_it_too(read: list[str]) -> None:
    class Hook(MetaPathFinder):
        asked: ClassVar[list[str]] = []

        def find_spec(self, fullname: str, *_: object) -> None:
            self.asked.append(fullname)

    sys.meta_path.insert(0, Hook())
    import_light()
    Hook.asked.clear()
    importlib.import_module("unread_one")
    assert Hook.asked[0] == "unread_one"


def test_one_that_fails_again_and_again_leaves_one_finder(read: list[str]) -> None:
    for _ in range(3):
        with pytest.raises(ModuleNotFoundError), unread("unread_one"):
            importlib.import_module("unread_one.broken")
    assert sum(type(each).__module__ == unread.__module__ for each in sys.meta_path) == 1


def test_another_package_of_its_name_is_imported_as_it_is(
    read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_light()
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "unread_one.py").write_text("HEAVY = 'another'")
    monkeypatch.syspath_prepend(other)
    assert importlib.import_module("unread_one").HEAVY == "another"


def test_one_that_is_not_installed_can_not_be_left_unread() -> None:
    with pytest.raises(ImportError, match="not_there"), unread("not_there", "not_there.either"):
        pass
    assert "not_there" not in sys.modules


def loaded(statement: str, **environment: str) -> set[str]:
    """With these variables alone."""
    return loaded_by(statement, {"PATH": "/usr/bin:/bin"} | environment)


OURS = "from myagent.models import failures, transport"
TYPES = "openai.types.responses"


def test_of_the_openai_package_only_what_is_used_is_imported() -> None:
    modules = loaded(OURS)
    assert "openai._client" in modules
    assert TYPES not in modules


TURNS = """
import asyncio
from myagent.messages import ChatMessage
from myagent.models import ModelError, resolve_model

async def ask(question):
    async for _ in resolve_model().stream([ChatMessage("user", question)], []):
        pass

async def main():
    for script in ("", "[[json]]", "[[tool look {}]]", "[[status 429 retry_after=0.1 times=1]]"):
        await ask(f"Hello {script}")
    for script in ("[[status 500]]", "[[status 400]]", "[[drop after=3]]", "[[error after=3]]"):
        try:
            await ask(f"Hello {script}")
        except ModelError:
            continue
        raise AssertionError(script)

asyncio.run(main())
"""


def test_no_turn_imports_the_rest_of_the_openai_package() -> None:
    with fake_model_process() as url:
        modules = loaded(TURNS, OPENAI_BASE_URL=url, OPENAI_API_KEY="none")
    assert "openai._client" in modules
    assert not modules & {"openai", TYPES}


def test_an_agent_has_all_of_the_openai_package() -> None:
    code = "import openai; openai.api_key = 'k'; from openai import AsyncOpenAI"
    code += "; openai.types.CompletionUsage; assert openai.api_key == 'k'"
    same = "assert transport.AsyncOpenAI is AsyncOpenAI is openai.AsyncOpenAI"
    assert TYPES in loaded(f"{OURS}\n{code}\n{same}\nassert openai.__version__")


def test_the_openai_package_sets_up_its_log_where_one_is_asked_for() -> None:
    level = "import logging; assert logging.getLogger('openai').level == logging.DEBUG"
    loaded(f"{OURS}\n{level}", OPENAI_LOG="debug")


@pytest.mark.parametrize("client", [None, "import openai; openai.AsyncOpenAI"])
def test_a_version_with_other_modules_or_that_needs_all_is_imported_as_a_whole(
    tmp_path: Path, client: str | None
) -> None:
    (tmp_path / "openai").mkdir()
    if client is not None:
        (tmp_path / "openai" / "_base_client.py").write_text(client)
    names = "\n".join(f"class {name}: ..." for name in package.__all__)
    (tmp_path / "openai" / "__init__.py").write_text(names)
    ours = "from myagent.models.package import AsyncOpenAI; import openai"
    loaded(f"{ours}; assert AsyncOpenAI is openai.AsyncOpenAI", PYTHONPATH=str(tmp_path))
