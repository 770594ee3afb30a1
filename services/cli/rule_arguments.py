"""The arguments of `services routes …`."""

from __future__ import annotations

import argparse

from django.utils.translation import gettext

from agents.terminal.inert import readable
from services.cli.parsing import tags
from services.routing.rules import Strategy

NO_FALLBACK = "none"
"""The value of `--fallback` that takes it away."""


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Adds each verb with its options; the one that is given is stored as `routes_verb`."""
    verbs = parser.add_subparsers(
        dest="routes_verb", metavar="VERB", required=True, title=gettext("verbs")
    )

    def verb(name: str, summary: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=summary, description=f"{summary}.")

    listing = verb("list", gettext("Lists the rules, in the order in which they apply"))
    _add_new_rule(verb("add", gettext("Adds a rule for clients that name no service")))
    _add_changes(verb("edit", gettext("Changes of a rule what is given; the rest stays as it is")))
    for name, summary in (
        ("enable", gettext("Lets a rule apply again")),
        ("disable", gettext("Keeps a rule, without effect for now")),
        ("remove", gettext("Removes a rule")),
    ):
        _add_existing(verb(name, summary))
    explained = verb("explain", gettext("Tells which service a client would get, and why"))
    _add_facts(explained)
    for shown in (listing, explained):
        shown.add_argument("--json", action="store_true", help=gettext("the same as JSON"))


def _add_new_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=gettext("a name for the rule"))
    _add_fields(parser, fallbacks=list(map(str, Strategy)))
    parser.add_argument(
        "--disabled", action="store_true", help=gettext("keep it, without effect for now")
    )


def _add_changes(parser: argparse.ArgumentParser) -> None:
    _add_existing(parser)
    parser.add_argument("--rename", metavar="NEW", help=gettext("another name for the rule"))
    _add_fields(parser, fallbacks=[*map(str, Strategy), NO_FALLBACK])
    parser.epilog = gettext(
        "--when, --to and --tags replace all that the rule had of the kind; '' leaves none."
    )


def _add_existing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=gettext("the rule's name or id"))


def _add_fields(parser: argparse.ArgumentParser, *, fallbacks: list[str]) -> None:
    """The fields of a rule; None if they are not given."""
    parser.add_argument(
        "--when",
        action="append",
        metavar="CONDITION",
        help=gettext("such as 'user_agent contains VIP'; all of several must hold. Repeatable"),
    )
    parser.add_argument(
        "--to", type=tags, action="extend", metavar="A,B", help=gettext("only to these services")
    )
    parser.add_argument(
        "--tags",
        type=tags,
        action="extend",
        metavar="A,B",
        help=gettext("only to services with all of these"),
    )
    parser.add_argument(
        "--strategy",
        choices=list(map(str, Strategy)),
        help=gettext("how one of them is chosen (round_robin)"),
    )
    parser.add_argument(
        "--fallback", choices=fallbacks, help=gettext("if that can't choose, or none of them runs")
    )
    parser.add_argument(
        "--priority", type=int, metavar="N", help=gettext("the lowest number comes first (100)")
    )
    parser.add_argument(
        "--weight",
        type=int,
        metavar="N",
        help=gettext("of rules with the same priority, the highest comes first (1)"),
    )
    parser.add_argument("--description", metavar="TEXT", help=gettext("what it is, in a sentence"))


def _add_facts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client-ip", default="", metavar="ADDRESS")
    parser.add_argument("--user-agent", default="", metavar="TEXT")
    parser.add_argument("--path", default="/", metavar="PATH")
    parser.add_argument("--user", default="", metavar="NAME")
    for name, summary in (
        ("header", gettext("a header that the client sends. Repeatable")),
        ("query", gettext("a parameter of the address. Repeatable")),
        ("metadata", gettext("an entry of what begins the conversation. Repeatable")),
    ):
        parser.add_argument(
            f"--{name}", type=_pair, action="append", default=[], metavar="K=V", help=summary
        )
    parser.add_argument(
        "--tags",
        type=tags,
        action="extend",
        metavar="A,B",
        help=gettext("the tags that the client asks for"),
    )


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(
            gettext("'{text}' is not K=V: a name, '=' and a value.").format(text=readable(text))
        )
    return name, value
