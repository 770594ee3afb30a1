"""The history of services and rules: who did what. The admin shows it."""

from __future__ import annotations

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.contenttypes.models import ContentType

from services.models import RoutingRule, Service


def note(
    user: AbstractBaseUser | AnonymousUser,
    subject: Service | RoutingRule,
    sentence: str,
    *,
    action: int = CHANGE,
) -> None:
    """Records an action, unless the user is not logged in. Synchronous.

    `action`: a flag of `django.contrib.admin.models`.
    """
    if not user.is_authenticated:
        return
    LogEntry.objects.create(
        user_id=user.pk,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=subject.pk,
        object_repr=subject.name,
        action_flag=action,
        change_message=sentence,
    )
