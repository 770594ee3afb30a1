"""Which language a terminal is spoken to in: by its locale's variables, in the usual order."""

from __future__ import annotations

import copy
import pickle

import pytest
from django.utils import translation

from agents.sentences import choose
from agents.terminal.command import told
from agents.terminal.language import is_english, tags
from myagent.client import ClientError
from myagent.sentence import Sentence

ZH, EN = "zh-hans", "en"


def variables(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split())


@pytest.mark.parametrize(
    ("given", "language"),
    [
        ("", EN),
        ("LANG=zh_CN.UTF-8", ZH),
        ("LANG=zh_CN", ZH),
        ("LANG=zh_CN.GB18030", ZH),
        ("LANG=zh_CN.UTF-8@pinyin", ZH),
        ("LANG=zh_SG.UTF-8", ZH),
        ("LANG=en_GB.UTF-8", EN),
        ("LANG=de_DE.UTF-8", EN),
        ("LANG=nonsense", EN),
        ("LANG=C", EN),
        ("LANG=C.UTF-8", EN),
        ("LANG=POSIX", EN),
        # The first that is set and not empty.
        ("LC_MESSAGES=zh_CN.UTF-8 LANG=en_US.UTF-8", ZH),
        ("LC_MESSAGES=en_US.UTF-8 LANG=zh_CN.UTF-8", EN),
        ("LC_ALL=zh_CN.UTF-8 LC_MESSAGES=en_US.UTF-8 LANG=en_US.UTF-8", ZH),
        ("LC_ALL=C LC_MESSAGES=zh_CN.UTF-8 LANG=zh_CN.UTF-8", EN),
        ("LC_ALL= LC_MESSAGES= LANG=zh_CN.UTF-8", ZH),
        ("LC_CTYPE=zh_CN.UTF-8", EN),
        # Preferences go before the locale, unless that wants no language at all.
        ("LANGUAGE=zh_CN:en LANG=en_US.UTF-8", ZH),
        ("LANGUAGE=en LANG=zh_CN.UTF-8", EN),
        ("LANGUAGE=de:zh_CN LANG=en_US.UTF-8", ZH),
        ("LANGUAGE=de LANG=zh_CN.UTF-8", ZH),
        ("LANGUAGE= LANG=zh_CN.UTF-8", ZH),
        ("LANGUAGE=zh_CN", EN),
        ("LANGUAGE=zh_CN LC_ALL=C", EN),
        ("LANGUAGE=zh_CN LC_ALL=C.UTF-8 LANG=zh_CN.UTF-8", EN),
    ],
)
def test_the_locale_decides(given: str, language: str) -> None:
    wanted = tags(variables(given))
    assert choose(*wanted) == language
    assert language == EN or not is_english(wanted)


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "gbk", "gb2312"])
def test_an_encoding_that_has_simplified_characters_shows_them(encoding: str) -> None:
    assert tags({"LANG": "zh_CN"}, encoding) == ["zh-CN"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "big5", "no-such-encoding"])
def test_a_terminal_that_could_not_show_them_is_spoken_to_in_english(encoding: str) -> None:
    assert tags({"LANG": "zh_CN"}, encoding) == []


def test_a_sentence_of_the_sdk_is_told_with_the_sentences_in_it() -> None:
    inner = Sentence("nothing listens there")
    error = ClientError(
        Sentence("{url} can't be reached: {reason}.", url="ws://{x}/", reason=inner)
    )
    assert str(error) == "ws://{x}/ can't be reached: nothing listens there."
    with translation.override(ZH):
        assert told(error) == "无法连接 ws://{x}/：该处没有程序在监听。"
        assert told(ClientError("Out of {credit}.")) == "Out of {credit}."
        assert told(ClientError()) == ""


def test_a_sentence_that_is_copied_or_pickled_is_its_text() -> None:
    sentence = Sentence("{file}: there is no such file.", file="{odd}")
    for same in (copy.deepcopy(sentence), pickle.loads(pickle.dumps(sentence))):
        assert same == "{odd}: there is no such file."
