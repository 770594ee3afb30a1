"""The first account of the admin."""

from __future__ import annotations

import secrets

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

NAME = "admin"


def ensure_admin() -> str | None:
    """Creates the superuser `admin` if nobody may log in to the admin; returns its password.

    Returns None if there is a staff member already, or another process was first. An ordinary user
    of that name is left unchanged. Synchronous.
    """
    if User.objects.filter(is_staff=True).exists():
        return None
    password = secrets.token_urlsafe(15)
    try:
        with transaction.atomic():
            User.objects.create_superuser(NAME, password=password)
    except IntegrityError:
        return None
    return password
