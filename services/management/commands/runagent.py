"""`manage.py runagent`: runs an agent file, or with `--service NAME` a worker of a service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop

from agents.management.commands import runagent
from agents.runtime.exit_status import CONFIGURATION_ERROR
from agents.terminal.command import in_language_of_site, set_up_logs
from myagent.worker.tcp import host_and_port, joined

if TYPE_CHECKING:
    from services.models import Service
    from services.supervision.launchers import Sockets
    from services.supervision.one_worker import OneWorker

OF_A_FILE = ("host", "port", "name", "reload")
"""Options for an agent file alone: a service is registered with these, or does not need them."""

OF_A_SERVICE = ("bind", "advertise", "ready_file")
"""Options with `--service` alone."""


class Command(runagent.Command):
    help = gettext_noop(
        "Runs one agent file as a WebSocket service; or, with --service, one worker of a "
        "registered service, beside its replicas."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--service",
            metavar="NAME",
            help=gettext(
                "keep a worker of this registered service; FILE and --python replace its own here"
            ),
        )
        parser.add_argument(
            "--bind",
            type=_place,
            metavar="HOST[:PORT]",
            help=gettext(
                "with --service: let servers on other machines reach the worker, over TCP with "
                "TLS; 0.0.0.0 is any address of this machine, and without a port it is any"
            ),
        )
        parser.add_argument(
            "--advertise",
            type=_place,
            metavar="HOST[:PORT]",
            help=gettext(
                "with --bind: where these servers dial it, if that is not the address of this "
                "machine and the port where it listens"
            ),
        )
        parser.add_argument(
            "--ready-file",
            type=Path,
            metavar="PATH",
            help=gettext(
                "with --service: a file that exists from the first worker's start until the "
                "command leaves, for probes"
            ),
        )
        self._defaults = {name: parser.get_default(name) for name in OF_A_FILE}

    def handle(self, *args: Any, **options: Any) -> None:
        if options["service"] is not None:
            self._refuse_both(options)
            self.keep_worker(options)
        elif given := [name for name in OF_A_SERVICE if options[name] is not None]:
            raise CommandError(
                gettext("{options}: only with --service.").format(options=_options(given)),
                returncode=2,
            )
        elif options["file"] is None:
            raise CommandError(
                gettext("Name an agent file, or a service with --service."), returncode=2
            )
        else:
            super().handle(*args, **options)

    def keep_worker(self, options: dict[str, Any]) -> None:
        # Imported here: serving a single file does not need these.
        from agents.runtime import schema
        from services.supervision.one_worker import GivenUp, OneWorker

        set_up_logs(is_debug=options["debug"])
        schema.apply_pending(settings.VAR_DIR)
        service = self._found(options["service"])
        over = gettext("{name} is stopped: its worker here has ended.").format(name=service.name)
        with contextlib.ExitStack() as held:
            sockets = self._sockets(options, held)
            self._say_what_is_missing(service, has_tcp=options["bind"] is not None)
            worker = OneWorker(
                service,
                self._announcement(service, self._ready_file(options, held)),
                file=str(Path(options["file"]).expanduser().resolve()) if options["file"] else "",
                python=options["python"] or "",
                sockets=sockets,
            )
            try:
                with in_language_of_site():
                    asyncio.run(_run(worker))
            except GivenUp as error:
                status = CONFIGURATION_ERROR if error.is_configuration else 1
                raise CommandError(str(error), returncode=status) from error
        if not worker.is_told_to_leave:
            self._say(over)

    def _say_what_is_missing(self, service: Service, *, has_tcp: bool) -> None:
        """Says what keeps the worker from being of use."""
        from services.supervision.one_worker import machines_of_the_site

        if service.desired != service.Desired.RUNNING:
            self._say(
                gettext(
                    "{name} is stopped: its worker starts here once the service does "
                    "(manage.py services start {name})."
                ).format(name=service.name)
            )
        if not has_tcp and (machines := machines_of_the_site()):
            self.stderr.write(
                self.style.WARNING(
                    gettext(
                        "WARNING: the site is served on another machine ({machines}), and its "
                        "servers can't reach a worker on this one without --bind."
                    ).format(machines=", ".join(machines))
                )
            )

    def _announcement(
        self, service: Service, ready_file: Path | None
    ) -> Callable[[int, str], None]:
        """What is done whenever a worker is ready; its sentences are translated now."""
        ready = gettext("{name} has a worker here (pid {pid}); see: manage.py services logs {name}")
        ready_far = gettext(
            "{name} has a worker here (pid {pid}), which other machines reach at {address}; "
            "see: manage.py services logs {name}"
        )

        def on_ready(pid: int, address: str) -> None:
            if ready_file is not None:
                ready_file.touch()
            said = ready_far if address else ready
            self._say(said.format(name=service.name, pid=pid, address=address))

        return on_ready

    def _sockets(self, options: dict[str, Any], held: contextlib.ExitStack) -> Sockets:
        """Closed with what is `held`. Raises `CommandError`."""
        from services.supervision.advertising import advertised
        from services.supervision.launchers.sockets import UNIX_SOCKETS, TcpSockets

        if options["bind"] is None:
            if options["advertise"] is not None:
                raise CommandError(gettext("--advertise: only with --bind."), returncode=2)
            return UNIX_SOCKETS
        host, port = options["bind"]
        if not port and options["advertise"] is not None and options["advertise"][1]:
            raise CommandError(
                gettext("--advertise: a port only if --bind has one too."), returncode=2
            )
        try:
            sockets = TcpSockets(host, port, advertised(host, options["advertise"]))
        except (OSError, UnicodeError) as error:
            raise CommandError(
                gettext("--bind {place} is not possible: {reason}.").format(
                    place=joined(host, port), reason=getattr(error, "strerror", None) or error
                )
            ) from error
        held.callback(sockets.close)
        return sockets

    def _ready_file(self, options: dict[str, Any], held: contextlib.ExitStack) -> Path | None:
        """Not there yet, and it can be written; removed with what is `held`.

        Raises `CommandError`.
        """
        path: Path | None = options["ready_file"]
        if path is None:
            return None
        try:
            path.touch()
            is_in_use = path.stat().st_size > 0
            if not is_in_use:
                path.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            reason = gettext("the file is not empty") if is_in_use else ""
        if reason:
            raise CommandError(
                gettext("--ready-file {path} is not possible: {reason}.").format(
                    path=path, reason=reason
                )
            )
        held.callback(path.unlink, missing_ok=True)
        return path

    def _refuse_both(self, options: dict[str, Any]) -> None:
        given = [name for name in OF_A_FILE if options[name] != self._defaults[name]]
        if given:
            raise CommandError(
                gettext(
                    "--service runs what was registered: leave out {options}; 'services register' "
                    "and the admin know the service's settings."
                ).format(options=_options(given)),
                returncode=2,
            )

    def _found(self, name: str) -> Service:
        """Raises `CommandError`."""
        from services.catalogue import registry
        from services.errors import ServiceError, UnknownService
        from services.models import Service

        try:
            service = registry.find(name)
        except UnknownService as error:
            names = Service.objects.filter(url="").values_list("name", flat=True)[:20]
            known = gettext("There are: {names}.").format(names=", ".join(names)) if names else ""
            raise CommandError(f"{error} {known}".rstrip()) from error
        except ServiceError as error:
            raise CommandError(str(error)) from error
        if service.is_external:
            raise CommandError(
                gettext("'{name}' runs elsewhere: it has no workers here.").format(
                    name=service.name
                )
            )
        return service

    def _say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def _place(text: str) -> tuple[str, int]:
    try:
        return host_and_port(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not HOST or HOST:PORT; an IPv6 address is written in [ ].").format(
                text=text
            )
        ) from error


def _options(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


async def _run(worker: OneWorker) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, worker.leave)
    await worker.run()
