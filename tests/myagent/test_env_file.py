from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent import env_file
from myagent.env_file import EnvFileError, read_env_file


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "my.env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=value", "value"),
        ("KEY = value", "value"),
        ("\tKEY\t=\tvalue\t", "value"),
        ("export KEY=value", "value"),
        ("KEY='a b'", "a b"),
        ('KEY = "a b"', "a b"),
        ("KEY=value # what it is for", "value"),
        ("KEY=a#b", "a#b"),
        ("KEY==", "="),
        ("KEY=", ""),
        ("KEY=$ecret", "$ecret"),
        ("OTHER=x\nKEY=${OTHER}/y", "x/y"),
        ("\n# a comment\n\nKEY=value\r\n", "value"),
        ("\ufeffKEY=value", "value"),
        ("KEY=字 😀", "字 😀"),
    ],
)
def test_a_setting_is_read_as_people_write_it(tmp_path: Path, line: str, value: str) -> None:
    assert read_env_file(written(tmp_path, line))["KEY"] == value


@pytest.mark.parametrize(
    "line",
    [
        "sk-very-secret",
        "OPENAI_API_KEY: sk-very-secret",
        "OPENAI_API_KEY sk-very-secret",
        "=sk-very-secret",
        'OPENAI_API_KEY="sk-very-secret',
        'OPENAI_API_KEY="sk-very-"secret',
        "1KEY=sk-very-secret",
        "'A=B'=sk-very-secret",
        "KEY=sk-very-secret\0",
    ],
)
def test_a_line_that_is_no_setting_is_named_and_never_shown(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f"A=1\n\n# a comment\n\n{line}\n")
    with pytest.raises(EnvFileError) as caught:
        read_env_file(path)
    assert str(caught.value) == f"{path}, line 5 is not a setting of the form NAME=value."
    assert caught.value.sentence.template.startswith("{file}, line {line}")


def test_a_file_that_is_no_text_is_a_sentence_without_its_bytes(tmp_path: Path) -> None:
    path = written(tmp_path, b"KEY=caf\xe9 secret")
    with pytest.raises(EnvFileError) as caught:
        read_env_file(path)
    assert str(caught.value) == f"{path} is not text in UTF-8."
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EnvFileError, match="can't be read: No such file"):
        read_env_file(tmp_path / "my.env")


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(EnvFileError, match="too long"):
        read_env_file(Path("/dev/zero"))


def test_what_is_set_already_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOR_THIS_TEST", "mine")
    monkeypatch.delenv("ALSO_FOR_THIS_TEST", raising=False)
    env_file.apply({"FOR_THIS_TEST": "the file's", "ALSO_FOR_THIS_TEST": "x"})
    assert os.environ["FOR_THIS_TEST"] == "mine"
    assert os.environ.pop("ALSO_FOR_THIS_TEST") == "x"


@given(st.text(st.characters(exclude_characters="\r\n'\\\0", codec="utf-8")))
def test_any_text_in_single_quotes_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = written(tmp_path_factory.mktemp("env"), f"KEY = '{text}'\n")
    value = read_env_file(path)["KEY"]
    assert value == text or "${" in text
