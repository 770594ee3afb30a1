"""`manage.py traces rerun`: a run again, from one of its steps on."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext

from agents.models import LEASE_HOLDS, Server
from agents.terminal.inert import readable
from services.cli import trace_finding
from services.cli.screen import Screen, as_json
from services.models import Service
from traces.models import Trace
from traces.reading.describing import trace_json
from traces.rerunning import NotRerun, Rerun


def add_verb(verb: Callable[[str, str], argparse.ArgumentParser]) -> None:
    parser = verb("rerun", gettext("Runs a run again, in a new conversation"))
    parser.add_argument("id", metavar="ID", help=gettext("its trace_id"))
    parser.add_argument(
        "--step", type=int, metavar="N", default=1, help=gettext("the reply to ask for again (1)")
    )
    parser.add_argument(
        "--question", metavar="TEXT", help=gettext("another question, from step 1 on")
    )
    parser.add_argument("--json", action="store_true", help=gettext("the same as JSON"))


def rerun(screen: Screen, options: dict[str, Any]) -> None:
    """The servers do the work: this only writes down what is to be done."""
    trace = _find(options["id"])
    question = _question(options["question"])
    try:
        new = Rerun(trace, options["step"], None, question).write()
    except NotRerun as error:
        raise CommandError(str(error)) from None
    if options["json"]:
        screen.say(as_json(trace_json(new)))
        return
    sentence = gettext("It runs again, as trace {id}, as soon as a server of '{name}' is there.")
    screen.say(sentence.format(id=new.pk, name=readable(new.service)))


def _question(given: str | None) -> str:
    """'' for the run's own."""
    if given is None:
        return ""
    question = given.encode(errors="replace").decode().strip()
    if not question:
        raise CommandError(gettext("The other question is empty."))
    return question


def _find(trace_id: str) -> Trace:
    trace = trace_finding.find(trace_id)
    is_registered = Service.objects.filter(name=trace.service, url="").exists()
    if not (is_registered or Server.objects.filter(LEASE_HOLDS, service=trace.service).exists()):
        said = gettext("There is no service '{name}' any more that could run it again.")
        raise CommandError(said.format(name=readable(trace.service)))
    return trace
