"""Permissions by the names under which the admin gives them, and who needs which. No I/O."""

from __future__ import annotations

from functools import cache

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.http import HttpRequest
from django.utils.translation import gettext

PAGES = {
    "changelist": "view",
    "history": "view",
    "add": "add",
    "change": "change",
    "delete": "delete",
}
"""What a page of the admin requires, by the end of its name."""


@cache
def name_of(permission: str) -> str:
    """`Can view service` for `services.view_service`: as the admin lists it, always in English.

    Raises `LookupError` if there is none.
    """
    label, _, codename = permission.partition(".")
    for model in apps.get_app_config(label).get_models():
        options = model._meta
        names = dict(options.permissions) | {
            get_permission_codename(action, options): f"Can {action} {options.verbose_name_raw}"
            for action in options.default_permissions
        }
        if codename in names:
            return str(names[codename])
    raise LookupError(permission)


def needed(permission: str, *, is_for_staff: bool = False) -> str:
    """The sentence for somebody who lacks it. `is_for_staff`: a staff account is needed, too."""
    sentence = (
        gettext("You need a staff account and the permission '{name}' ({permission}).")
        if is_for_staff
        else gettext("You need the permission '{name}' ({permission}).")
    )
    return sentence.format(name=name_of(permission), permission=permission)


def needed_for_admin_page(request: HttpRequest) -> str:
    """The sentence for somebody whom a page of the admin refuses; '' if it is none of a model."""
    match = request.resolver_match
    options = getattr(getattr(match and match.func, "model_admin", None), "opts", None)
    if match is None or options is None:
        return ""
    action = PAGES.get((match.url_name or "").rpartition("_")[2])
    if action == "change" and request.method in ("GET", "HEAD"):
        action = "view"
    if action is None:
        return ""
    return needed(f"{options.app_label}.{get_permission_codename(action, options)}")
