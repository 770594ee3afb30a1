"""Titles that old conversations get when they are listed."""

from __future__ import annotations

import pytest

from agents.archive.naming import give_titles
from agents.models import Session
from tests.agents.archive import stored

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_an_untitled_conversation_is_called_by_its_first_words_for_good() -> None:
    old, other = stored.stored("Is it raining?", "And now?"), stored.stored("no", "yes")
    Session.objects.update(title="")
    Session.objects.filter(pk=other).update(title="Mine")
    silent = stored.stored()
    give_titles(list(Session.objects.all()))
    titles = dict(Session.objects.values_list("pk", "title"))
    assert titles == {old: "Is it raining?", other: "Mine", silent: ""}


def test_a_name_that_somebody_gives_meanwhile_stays() -> None:
    session = stored.stored("first words")
    Session.objects.update(title="")
    listed = Session.objects.get(pk=session)
    Session.objects.update(title="My plans")
    give_titles([listed])
    assert Session.objects.get(pk=session).title == "My plans"
