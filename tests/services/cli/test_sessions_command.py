"""`manage.py sessions`: what is typed, and what is answered, without a process."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from agents.models import Session
from tests.agents.archive import stored

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def var_dir(tmp_path: Path, settings: LazySettings) -> None:
    settings.VAR_DIR = tmp_path


def sessions(*arguments: str) -> str:
    output = io.StringIO()
    call_command("sessions", *arguments, stdout=output)
    return output.getvalue()


def test_the_list_names_title_and_status_and_filters() -> None:
    weather = stored.stored("Is it\nraining?", service="weather")
    running = stored.stored("at \u202ework", ends=False)
    rows = [line.split("\t") for line in sessions("list").splitlines()]
    assert rows[0] == ["session", "status", "service", "last change", "title"]
    assert [(row[0], row[1], row[4]) for row in rows[1:]] == [
        (running, "running", "at work"),
        (weather, "idle", "Is it raining?"),
    ]
    for option in (("--service", "weather"), ("--status", "idle"), ("--text", "RAINING")):
        found = json.loads(sessions("list", "--json", *option))
        assert [each["session_id"] for each in found] == [weather]
    Session.objects.filter(pk=weather).update(closed_at=Now())
    for status, which in (("open", running), ("closed", weather)):
        found = json.loads(sessions("list", "--json", "--status", status))
        assert [each["session_id"] for each in found] == [which]
    assert len(json.loads(sessions("list", "--json", "-n", "1"))) == 1


def test_one_is_shown_as_people_read_it() -> None:
    session = stored.stored("a \x1b[31mred\x1b[0m question")
    shown = sessions("show", session)
    assert " user: a red question\n" in shown and " agent: yes\n" in shown
    assert "\x1b" not in shown
    with pytest.raises(CommandError, match="There is no conversation 'nobody'"):
        sessions("show", "nobody")


def test_an_export_is_one_document_with_the_whole_log() -> None:
    session = stored.stored("one", "two \u202e")
    text = sessions("export", session)
    document = json.loads(text)
    assert document["session"]["session_id"] == session
    assert [each["seq"] for each in document["events"]] == [1, 2, 3, 4, 5]
    assert document["events"][3]["content"] == "two \u202e" and "\u202e" not in text


def test_pruning_counts_first_and_then_removes() -> None:
    old, young = stored.stored("old"), stored.stored("young")
    ago = timezone.now() - timedelta(days=31)
    Session.objects.filter(pk=old).update(updated_at=ago)
    assert "would be removed: 1." in sessions("prune", "--older-than", "30d", "--dry-run")
    assert Session.objects.count() == 2
    assert "Removed conversations: 1." in sessions("prune", "--older-than", "30d")
    assert stored.ids(list(Session.objects.all())) == {young}


@pytest.mark.parametrize("age", ["30", "d", "-1d", "1y", "30 d", ""])
def test_what_is_no_length_of_time_is_refused(age: str) -> None:
    with pytest.raises(CommandError, match="is no length of time"):
        sessions("prune", f"--older-than={age}")
