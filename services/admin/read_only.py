"""Pages of the admin on which nothing is changed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class ReadOnly:
    """For an admin of rows that people only look at, whatever permissions they have."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
