"""The verbs register, start, stop, restart, unregister: calls them and awaits their effect."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext

from agents.runtime.program import command
from services import control
from services.catalogue import ports, reencrypting, registry
from services.cli.screen import Screen
from services.logs.logfiles import path_of, tail
from services.models import Service
from services.routing.endpoints import endpoint_of, site_address
from services.supervision import figures
from services.supervision.failing import LAST_LINES
from services.supervision.supervisor_start import ensure_supervisor
from services.telling import tell, told
from services.views import describing
from services.waiting import follow

Options = dict[str, Any]

INTERRUPTED = 130

LOG_LINES = 10
"""Last lines of a log that are shown with a failure."""

LOG_BYTES = 1 << 14

GIVEN = tuple(name for name in registry.FIELDS if name != "agent_factory_path")
"""Options that have the same name as a field of a service."""


def register(screen: Screen, options: Options) -> None:
    given = {name: options[name] for name in GIVEN if options[name] is not None}
    if options["file"] is not None:
        given["agent_factory_path"] = options["file"]
    service = registry.register(environment=dict(options["env"] or ()), **given)
    sentence = gettext("{name} is registered ({id}).")
    screen.say(sentence.format(name=service.name, id=service.pk))
    if in_use := ports.trouble(service):
        screen.say(told(in_use))
    if service.auto_start and not service.is_external:
        _see_to(screen, service, options)


def start(screen: Screen, options: Options) -> None:
    _ask(screen, options, control.start)


def stop(screen: Screen, options: Options) -> None:
    _ask(screen, options, control.stop)


def restart(screen: Screen, options: Options) -> None:
    _ask(screen, options, control.restart)


def unregister(screen: Screen, options: Options) -> None:
    service = registry.find(options["name"])
    registry.unregister(service)
    if service.is_external:
        screen.say(gettext("{name} is unregistered.").format(name=service.name))
    else:
        _see_to(screen, service, options)


def reencrypt(screen: Screen, options: Options) -> None:
    done = reencrypting.reencrypt_all()
    said = gettext("Encrypted anew: {changed}; under the present key already: {current}.")
    screen.say(said.format(changed=done.changed, current=done.current))
    if done.unreadable:
        raise CommandError(
            gettext(
                "No key in SECRET_KEY or SECRET_KEY_FALLBACKS opens the variables of: {names}."
            ).format(names=", ".join(done.unreadable))
        )


def _ask(screen: Screen, options: Options, verb: Callable[[Service], None]) -> None:
    service = registry.find(options["name"])
    verb(service)
    if service.is_external:
        # Nothing has to be waited for: its checks go on elsewhere, or have ended.
        screen.say(_aim_of_external(service))
    else:
        _see_to(screen, service, options)


def _aim_of_external(service: Service) -> str:
    if service.desired == Service.Desired.STOPPED:
        return gettext("{name} takes no clients from here any more.").format(name=service.name)
    return gettext("{name} takes clients again.").format(name=service.name)


def _see_to(screen: Screen, service: Service, options: Options) -> None:
    """Ensures that a supervisor acts, and waits for the effect unless told not to."""
    ensure_supervisor(service)
    if options["no_wait"]:
        if not Service.objects.filter(pk=service.pk).exists():
            # That needs no waiting.
            _judge(screen, service, None, options["timeout"])
        return
    try:
        seen = _wait(screen, service, options["timeout"])
    except KeyboardInterrupt:
        raise CommandError(
            gettext("Stopped waiting; the request for {name} is still carried out.").format(
                name=service.name
            ),
            returncode=INTERRUPTED,
        ) from None
    _judge(screen, service, seen, options["timeout"])


def _wait(screen: Screen, service: Service, timeout_s: float) -> Service | None:
    """The service's final state; None if it is gone."""
    with screen.progress() as progress:
        progress.tell(gettext("{name}: asked").format(name=service.name))
        for seen in follow(service.pk, timeout_s, time.sleep):
            progress.tell(f"{seen.name}: {_describe(seen)}")
    return Service.objects.filter(pk=service.pk).first()


def _judge(screen: Screen, asked: Service, seen: Service | None, timeout_s: float) -> None:
    """Reports success. Raises `CommandError` if the state was not reached."""
    if seen is None:
        if asked.unregistered_at is None:
            raise CommandError(
                gettext("{name} was unregistered meanwhile.").format(name=asked.name)
            )
        screen.say(gettext("{name} is unregistered.").format(name=asked.name))
    elif seen.desired != asked.desired or (seen.unregistered_at and not asked.unregistered_at):
        raise CommandError(
            gettext("Somebody has requested something else for {name} meanwhile.").format(
                name=asked.name
            )
        )
    elif control.has_arrived(seen) and seen.unregistered_at is None:
        screen.say(_arrival(seen))
    elif control.has_failed(seen):
        raise CommandError(
            gettext("{name} failed: {reason}").format(name=seen.name, reason=why(seen))
        )
    else:
        sentence = gettext(
            "{name} has not got there after {seconds} seconds: {state}. It is still in progress."
        ).format(seconds=f"{timeout_s:g}", name=seen.name, state=_describe(seen))
        raise CommandError(f"{sentence} {why(seen)}".rstrip())


def _arrival(service: Service) -> str:
    if service.desired == Service.Desired.STOPPED:
        return gettext("{name} is stopped.").format(name=service.name)
    if endpoint := endpoint_of(service, site_address()):
        arrived = gettext("{name} is running at {url}").format(name=service.name, url=endpoint)
        return "\n".join([arrived, *trouble_with_port(service)])
    return gettext(
        "{name} is running. Nobody can talk to it yet: start the site with '{command}'."
    ).format(name=service.name, command=command("serve"))


def trouble_with_port(service: Service) -> list[str]:
    """Why nobody reaches it by its own port; nothing where that is open, or it has none."""
    trouble = describing.trouble_with_port(service, figures.read(), looks_at_port=True)
    return [told(trouble)] if trouble else []


def _describe(service: Service) -> str:
    """Its state, and those of its processes if there are several or they differ."""
    instances = describing.live_instances(service)
    status = service.get_status_display()
    if not {instance.state for instance in instances} - {service.status}:
        return status
    states = ", ".join(instance.get_state_display() for instance in instances)
    return f"{status} ({states})"


def why(service: Service) -> str:
    """Its error and the last lines of its newest process's output, each line once."""
    newest = service.instances.order_by("-launched_at").first()
    lines = tail(path_of(service.pk, newest.pk), LOG_LINES, LOG_BYTES) if newest else []
    said = told(service.error_message).splitlines()
    heading = tell(LAST_LINES)
    error = [line for line in said if line not in lines]
    if error[-1:] == [heading]:
        # What it is about follows once, below.
        error.pop()
    if not error:
        # The log contains it as well: the reason why the process could not be started.
        error, lines = said, [line for line in lines if line not in said]
    if not lines:
        return "\n".join(error)
    return "\n".join([*error, heading, *(f"  {line}" for line in lines)])
