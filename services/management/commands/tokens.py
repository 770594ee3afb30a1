"""`manage.py tokens …`: API tokens, made, listed and revoked."""

from __future__ import annotations

import argparse
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.utils.translation import gettext, gettext_noop

from agents.terminal.inert import readable
from myagent.protocol import timestamp
from services.cli.cells import Moment, Word
from services.cli.parsing import time_length
from services.management.commands.services import Command as VerbCommand
from services.tokens import issuing
from services.tokens.models import RIGHTS, Token

COLUMNS = (
    gettext_noop("id"),
    gettext_noop("name"),
    gettext_noop("user"),
    gettext_noop("rights"),
    gettext_noop("services"),
    gettext_noop("expires"),
    gettext_noop("last used"),
    gettext_noop("created"),
)

ALL = Word(gettext_noop("all"))
EXPIRED = Word(gettext_noop("expired"))
NEVER = Word(gettext_noop("never"))


class Command(VerbCommand):
    help = gettext_noop("Makes, lists and revokes API tokens.")

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

    def run(self, options: dict[str, Any]) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        user = _user(options["user"])
        token, text = issuing.issue(
            user,
            options["name"],
            services=options["services"],
            rights=options["rights"],
            expires=options["expires"],
        )
        for warning in issuing.warnings_about(user, options["rights"]):
            said = gettext("Warning: {warning}").format(warning=readable(warning))
            self.stderr.write(self.style.WARNING(said))
        if options["json"]:
            self._write_json(token.as_json() | {"token": text})
            return
        self.stderr.write(
            gettext("Token {id}. Keep it now: it is not shown again.").format(id=token.pk)
        )
        self.stdout.write(f"{text}\n")

    def _list(self, options: dict[str, Any]) -> None:
        tokens = list(issuing.tokens_of(None))
        if options["json"]:
            self._write_json([token.as_json() for token in tokens])
            return
        if not tokens:
            self.stdout.write(f"{gettext('There are no tokens.')}\n")
            return
        self.screen(options).table(COLUMNS, map(_row, tokens))

    def _revoke(self, options: dict[str, Any]) -> None:
        if not issuing.revoke(Token.objects.filter(pk=options["id"])):
            raise CommandError(
                gettext("There is no token '{id}'.").format(id=readable(options["id"]))
            )
        self.stdout.write(f"{gettext('Revoked.')}\n")

    def _write_json(self, value: Any) -> None:
        self.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def _row(token: Token) -> tuple[object, ...]:
    return (
        token.pk,
        token.name,
        token.user.get_username(),
        token.rights,
        token.services or ALL,
        _expiry(token),
        NEVER if token.last_used is None else Moment(timestamp(token.last_used)),
        Moment(timestamp(token.created)),
    )


def _expiry(token: Token) -> object:
    if token.expiry is None:
        return NEVER
    return EXPIRED if token.has_expired else Moment(timestamp(token.expiry))


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
