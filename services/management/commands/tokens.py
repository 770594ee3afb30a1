"""`manage.py tokens …`: API tokens, made, listed and revoked."""

from __future__ import annotations

import argparse
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop

from agents import checks
from agents.runtime import schema
from agents.terminal.command import TerminalCommand
from agents.terminal.inert import readable
from services.cli.parsing import time_length
from services.errors import ServiceError
from services.tokens import issuing
from services.tokens.models import RIGHTS, Token


class Command(TerminalCommand):
    help = gettext_noop("Makes, lists and revokes API tokens.")
    requires_system_checks = (checks.TAG,)
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help=gettext("make one, and print it once"))
        create.add_argument("name")
        create.add_argument("--user", help=gettext("whose it is; the only superuser by default"))
        create.add_argument(
            "--services",
            type=_some,
            default=[],
            help=gettext("the only services that it is good for: a,b"),
        )
        create.add_argument(
            "--rights",
            type=_some,
            default=[],
            help=gettext("what it may, of: {rights}").format(rights=",".join(RIGHTS)),
        )
        create.add_argument(
            "--expires", type=time_length, help=gettext("how long it lasts: 30d, 12h, 90m or 60s")
        )
        create.add_argument("--json", action="store_true")
        found = verbs.add_parser("list", help=gettext("show all, never the tokens themselves"))
        found.add_argument("--json", action="store_true")
        revoke = verbs.add_parser("revoke", help=gettext("end one"))
        revoke.add_argument("id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            schema.apply_pending(settings.VAR_DIR)
            getattr(self, f"_{options['verb']}")(options)
        except ServiceError as error:
            raise CommandError(readable(error)) from error

    def _create(self, options: dict[str, Any]) -> None:
        token, text = issuing.issue(
            _user(options["user"]),
            options["name"],
            services=options["services"],
            rights=options["rights"],
            expires=options["expires"],
        )
        if options["json"]:
            self._write_json(token.as_json() | {"token": text})
            return
        self.stderr.write(
            gettext("Token {id}. Keep it now: it is not shown again.").format(id=token.pk)
        )
        self.stdout.write(text)

    def _list(self, options: dict[str, Any]) -> None:
        tokens = list(issuing.tokens_of(None))
        if options["json"]:
            self._write_json([token.as_json() for token in tokens])
            return
        if not tokens:
            self.stdout.write(gettext("There are no tokens."))
        for token in tokens:
            self.stdout.write(_line(token))

    def _revoke(self, options: dict[str, Any]) -> None:
        if not issuing.revoke(Token.objects.filter(pk=options["id"])):
            raise CommandError(
                gettext("There is no token '{id}'.").format(id=readable(options["id"]))
            )
        self.stdout.write(gettext("Revoked."))

    def _write_json(self, value: Any) -> None:
        self.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def _line(token: Token) -> str:
    services = ",".join(token.services) or "*"
    parts = [token.pk, token.name, token.user.get_username(), ",".join(token.rights), services]
    if token.has_expired:
        parts.append(gettext("expired"))
    return readable("  ".join(parts))


def _some(text: str) -> list[str]:
    """One or more names. None at all would stand for everything."""
    if found := [part.strip() for part in text.split(",") if part.strip()]:
        return found
    raise argparse.ArgumentTypeError(gettext("name at least one, or leave the option out."))


def _user(name: str | None) -> User:
    """Raises `CommandError`."""
    if name is not None:
        found = User.objects.filter(username=name).first()
        if found is None:
            raise CommandError(gettext("There is no user '{name}'.").format(name=readable(name)))
        return found
    superusers = list(User.objects.filter(is_superuser=True, is_active=True)[:2])
    if len(superusers) != 1:
        raise CommandError(gettext("Say whose token it is: --user NAME."), returncode=2)
    return superusers[0]
