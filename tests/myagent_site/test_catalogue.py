"""The Chinese catalogue: complete, true to its placeholders, and compiled."""

from __future__ import annotations

import ast
import gettext
import string
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from agents.sentences import SENTENCES, choose, say, tell
from myagent.models.base import ModelError
from myagent.worker.protocol import said_of
from tests.parsing import parsed

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("agents", "traces", "services", "myagent_site")
CATALOGUE = ROOT / "myagent_site" / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po"
MARKERS = {"gettext", "gettext_lazy", "gettext_noop"}


def first_arguments(packages: Iterable[str], functions: set[str]) -> Iterator[str]:
    """The text that each call of one of the functions begins with."""
    for package in packages:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in functions:
                    text = node.args[0]
                    assert isinstance(text, ast.Constant), f"{path}:{node.lineno}"
                    yield text.value


def marked_for_translation() -> Iterator[str]:
    """Every text for people: marked with Django's functions, or a sentence of the SDK."""
    yield from first_arguments(PACKAGES, MARKERS)
    yield from first_arguments(["myagent"], {"ModelError", "Sentence"})


def read_catalogue() -> dict[str, str]:
    """The entries of the `.po` file, its header under ''."""
    texts: dict[str, list[str]] = {"msgid": [], "msgstr": []}
    entries: dict[str, str] = {}
    field = ""
    for line in [*CATALOGUE.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        if line.startswith("#") or not line.strip():
            continue
        keyword, _, rest = line.partition(" ")
        if keyword in texts:
            if keyword == "msgid" and field:
                entries["".join(texts["msgid"])] = "".join(texts["msgstr"])
                texts = {"msgid": [], "msgstr": []}
            field, line = keyword, rest
        texts[field].append(ast.literal_eval(line))
    return entries


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_every_text_that_people_read_is_translated() -> None:
    catalogue = read_catalogue()
    assert [text for text in marked_for_translation() if not catalogue.get(text)] == []


def test_the_catalogue_holds_nothing_that_is_not_used() -> None:
    assert set(read_catalogue()) - {""} == set(marked_for_translation())


def test_a_translation_fills_the_same_placeholders() -> None:
    for english, chinese in read_catalogue().items():
        assert placeholders(chinese) == placeholders(english), english


def test_the_compiled_catalogue_is_up_to_date() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for english, chinese in read_catalogue().items():
        assert compiled.gettext(english) == chinese, f"run msgfmt again: {english}"


@pytest.mark.parametrize("name", SENTENCES)
def test_the_server_speaks_chinese(name: str) -> None:
    values = dict.fromkeys(placeholders(SENTENCES[name]), "X")
    said = say("zh-hans", name, **values)
    assert said != say("en", name, **values)
    assert any("\u4e00" <= char <= "\u9fff" for char in said)


def test_what_a_model_says_of_its_failure_is_told_in_chinese() -> None:
    error = ModelError(
        "The model name '{model}' is not known to the model's server.",
        is_retryable=False,
        model="{odd}",
    )
    assert str(error) == "The model name '{odd}' is not known to the model's server."
    said = said_of(error.template, error.values)
    assert tell("en", said) == str(error)
    assert tell("zh-hans", said) == "模型服务器不认识模型名称“{odd}”。"


@pytest.mark.parametrize("sentence", ["Out of {credit}.", "50 % {", ""])
def test_a_sentence_of_somebody_elses_model_is_told_as_it_is(sentence: str) -> None:
    error = ModelError(sentence, is_retryable=False)
    assert tell("zh-hans", said_of(error.template, error.values)) == sentence


@pytest.mark.parametrize("tag", ["zh-hans", "zh-CN", "zh-Hans-CN", "zh", "ZH-CN"])
def test_the_usual_tags_for_simplified_chinese_are_understood(tag: str) -> None:
    assert choose(tag) == "zh-hans"
    assert choose(accept_language=f"{tag},en;q=0.5") == "zh-hans"
