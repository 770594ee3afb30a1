"""The installation's key: kept once, for its owner alone; a place for it, or a sentence."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from myagent_site.secret_key import of_installation


def refusal(var_dir: Path, *, may_generate: bool = True) -> str:
    with pytest.raises(ImproperlyConfigured) as refused:
        of_installation(var_dir, may_generate=may_generate)
    return str(refused.value)


def test_a_key_is_made_once_and_readable_for_its_owner_alone(tmp_path: Path) -> None:
    key = of_installation(tmp_path / "new" / "var", may_generate=True)
    assert len(key) > 40
    assert of_installation(tmp_path / "new" / "var", may_generate=False) == key
    (file,) = (tmp_path / "new" / "var").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_where_every_process_needs_the_same_key_none_is_made(tmp_path: Path) -> None:
    assert "SECRET_KEY" in refusal(tmp_path, may_generate=False)
    assert list(tmp_path.iterdir()) == []


def test_what_only_fills_the_database_leaves_the_place_of_the_key_empty(tmp_path: Path) -> None:
    assert len(of_installation(tmp_path / "var", may_generate=True, is_kept=False)) > 40
    assert list(tmp_path.iterdir()) == []
    key = of_installation(tmp_path / "var", may_generate=True)
    assert of_installation(tmp_path / "var", may_generate=True, is_kept=False) == key


def test_a_folder_that_can_not_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "MYAGENT_VAR_DIR" in refusal(tmp_path / "file" / "var")


def test_a_key_that_can_not_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret_key").mkdir()
    assert str(tmp_path / "secret_key") in refusal(tmp_path)


def test_a_key_that_is_no_text_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_bytes(b"\xff\xfe\x00")
    assert "holds no key" in refusal(tmp_path)
