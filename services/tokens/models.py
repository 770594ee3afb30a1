"""API tokens. Of the token itself only a hash is kept."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy
from knox.models import AbstractAuthToken

from agents.runtime.ids import new_id

MAX_NAME = 100

USE, VIEW, CONTROL, EDIT = "use", "view", "control", "edit"
RIGHTS = (USE, VIEW, CONTROL, EDIT)


class Token(AbstractAuthToken):  # type: ignore[misc]
    """What a program of `user` proves itself with, until `expiry` (never, if it is None).

    `rights`: those of `RIGHTS` that it has, as far as its user has them; `services`: the names of
    the only services that it is good for, all if empty. `last_used` is exact to a minute.
    """

    id = models.CharField(max_length=36, primary_key=True, default=new_id)
    digest = models.CharField(max_length=128, unique=True)
    name = models.CharField(gettext_lazy("name"), max_length=MAX_NAME)
    services = models.JSONField(gettext_lazy("services"), default=list, blank=True)
    rights = models.JSONField(gettext_lazy("rights"), default=list)
    last_used = models.DateTimeField(gettext_lazy("last used"), null=True)

    class Meta:
        ordering = ["-created", "pk"]
        verbose_name = gettext_lazy("token")
        verbose_name_plural = gettext_lazy("tokens")

    def __str__(self) -> str:
        return str(self.name)

    @property
    def has_expired(self) -> bool:
        return self.expiry is not None and self.expiry <= timezone.now()

    def permits(self, right: str) -> bool:
        return right in self.rights

    def as_json(self) -> dict[str, Any]:
        """What is shown of it; the token itself never is."""
        return {
            "id": self.pk,
            "name": self.name,
            "user": self.user.get_username(),
            "services": self.services,
            "rights": self.rights,
            "created_at": self.created,
            "expires_at": self.expiry,
            "last_used": self.last_used,
        }
