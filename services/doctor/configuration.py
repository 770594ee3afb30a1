"""Judges the settings that decide who comes in. No I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.translation import gettext_noop

from myagent.sentence import Said
from services.doctor.finding import Finding, fine, problem, warning

LEAST_KEY = 50
"""Characters of a secret key, as Django demands; the generated one has 67."""

LEAST_VARIETY = 10
"""Different characters of a secret key."""

INSECURE_PREFIX = "django-insecure-"
"""How Django's own generated keys begin, which are meant for development."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings as they are in force; `key_file_mode` is None if no key is kept in a file."""

    secret_key: str
    fallback_keys: Sequence[str]
    key_file: str
    key_file_mode: int | None
    is_debug: bool
    hosts: Sequence[str]
    origins: Sequence[str]
    trusted_proxies: Sequence[str]
    is_open: bool


def judge_keys(found: Configuration) -> Iterator[Finding]:
    if weakness := weakness_of(found.secret_key):
        yield problem(
            "secret_key",
            gettext_noop("SECRET_KEY is weak: {weakness}. Who guesses it can log in as anybody."),
            gettext_noop(
                "Make one with `python -c 'import secrets; print(secrets.token_urlsafe(50))'`, and "
                "change it as docs/operating.md says under 'Another SECRET_KEY'."
            ),
            weakness=weakness,
        )
    elif found.key_file_mode is not None and found.key_file_mode & 0o077:
        yield problem(
            "secret_key",
            gettext_noop("Other users of this machine can read the secret key in {file}."),
            gettext_noop("chmod 600 {file}; and change the key if they are not to be trusted."),
            file=found.key_file,
        )
    else:
        yield fine("secret_key", gettext_noop("SECRET_KEY is long and random enough."))
    if found.fallback_keys:
        yield warning(
            "secret_key_fallbacks",
            gettext_noop("Former keys are still accepted: {count} in SECRET_KEY_FALLBACKS."),
            gettext_noop(
                "When all servers have the new key: `manage.py services reencrypt`, restart the "
                "services, and take the former keys out."
            ),
            count=len(found.fallback_keys),
        )


def judge_debug(found: Configuration) -> Iterator[Finding]:
    if found.is_debug:
        yield problem(
            "debug",
            gettext_noop("DEBUG is on: pages of errors show code and settings to everybody."),
            gettext_noop("Take DEBUG out of the settings, and restart the servers."),
        )
    else:
        yield fine("debug", gettext_noop("DEBUG is off."))


def judge_former_keys(needing: Sequence[str]) -> Finding:
    """Where there are former keys. `needing`: services whose variables only those open."""
    if needing:
        return warning(
            "former_keys",
            gettext_noop("Former keys are still needed: by the variables of {names}."),
            gettext_noop("`manage.py services reencrypt`, before you take them out."),
            names=", ".join(needing),
        )
    return fine("former_keys", gettext_noop("No service's variables need the former keys."))


def weakness_of(key: str) -> Said | None:
    """What makes a key easy to guess, in a few words; None if nothing does."""
    if key.startswith(INSECURE_PREFIX):
        return Said(gettext_noop("it begins with {prefix}"), {"prefix": INSECURE_PREFIX})
    if len(key) < LEAST_KEY:
        return Said(gettext_noop("it has only {count} characters"), {"count": len(key)})
    if len(set(key)) < LEAST_VARIETY:
        return Said(
            gettext_noop("it has only {count} different characters"), {"count": len(set(key))}
        )
    return None


def judge_hosts(found: Configuration) -> Iterator[Finding]:
    hosts = found.hosts
    wrong = [host for host in hosts if not is_host(host)]
    whole = [host for host in hosts if is_top_level(host)]
    for host in wrong:
        yield problem(
            "hosts",
            gettext_noop("ALLOWED_HOSTS has '{host}', which no request can have as its host."),
            gettext_noop("Write the name alone, without a scheme, a port or a path."),
            host=host,
        )
    for host in whole:
        yield problem(
            "hosts",
            gettext_noop("ALLOWED_HOSTS has '{host}': any site below it can pose as ours."),
            gettext_noop("Name the hosts under which the site is addressed instead."),
            host=host,
        )
    if "*" in hosts:
        yield problem(
            "hosts",
            gettext_noop("ALLOWED_HOSTS allows any name: a page of another site can pose as ours."),
            gettext_noop("Name the hosts under which the site is addressed instead of '*'."),
        )
    elif not wrong and not whole:
        yield fine(
            "hosts",
            gettext_noop("Allowed names of the site: {hosts}; addresses and localhost always are."),
            hosts=", ".join(hosts) or "-",
        )


def is_host(text: str) -> bool:
    """Whether it can be in ALLOWED_HOSTS; '*' is judged by itself."""
    return text == "*" or not (set(text) & set("/:*?#@ ")) or text.startswith("[")


def is_top_level(text: str) -> bool:
    """Whether it allows all names of a top-level domain, as `.com` does."""
    return text.startswith(".") and "." not in text.strip(".") and text != ".localhost"


def judge_origins(found: Configuration) -> Iterator[Finding]:
    origins = found.origins
    wrong = [origin for origin in origins if not is_origin(origin)]
    for origin in wrong:
        yield problem(
            "origins",
            gettext_noop("MYAGENT_ALLOWED_ORIGINS has '{origin}', which is no page's origin."),
            gettext_noop(
                "Write scheme and host as browsers do, `https://app.example.com`, with a port only "
                "if it is not the usual one; there are no wildcards."
            ),
            origin=origin,
        )
    if not wrong:
        yield fine(
            "origins",
            gettext_noop("Pages of other sites that may open sockets: {origins}."),
            origins=", ".join(origins) or "-",
        )


def is_origin(text: str) -> bool:
    """Whether a browser may send exactly this as `Origin`."""
    if text == "null":
        return True
    try:
        parts = urlsplit(text)
        default = {"http": 80, "https": 443}.get(parts.scheme)
        is_usual = parts.port is not None and parts.port == default
    except ValueError:
        return False
    if not parts.hostname or not parts.scheme or "*" in text or is_usual:
        return False
    return text == f"{parts.scheme}://{parts.netloc}" and parts.netloc == parts.netloc.lower()


def judge_proxies(found: Configuration) -> Iterator[Finding]:
    for proxy in found.trusted_proxies:
        try:
            is_everybody = ipaddress.ip_network(proxy, strict=False).prefixlen == 0
        except ValueError:
            yield problem(
                "trusted_proxies",
                gettext_noop("MYAGENT_TRUSTED_PROXIES has '{proxy}', which is no address."),
                gettext_noop(
                    "Write the addresses or networks of your proxies, as `10.0.0.7` or "
                    "`10.0.0.0/24`, not their names: no server starts."
                ),
                proxy=proxy,
            )
            continue
        if is_everybody:
            yield problem(
                "trusted_proxies",
                gettext_noop("MYAGENT_TRUSTED_PROXIES has {proxy}: every client is believed."),
                gettext_noop("Name the addresses of your proxies alone."),
                proxy=proxy,
            )


def judge_access(found: Configuration) -> Iterator[Finding]:
    if not found.is_open:
        yield fine("access", gettext_noop("Clients prove who they are (MYAGENT_AUTH=token)."))
    elif found.hosts or found.trusted_proxies:
        yield warning(
            "access",
            gettext_noop(
                "MYAGENT_AUTH is open, and the site has a name or a proxy: whoever reaches it can "
                "use the agents."
            ),
            gettext_noop("Set MYAGENT_AUTH=token, unless only people you trust can reach it."),
        )
    else:
        yield fine("access", gettext_noop("Whoever can connect may use the agents (open)."))


JUDGES = (judge_keys, judge_debug, judge_hosts, judge_origins, judge_proxies, judge_access)
"""Each sees to a part, so that what one can't judge does not hide what others find."""
