"""Fields that accept only values of their own JSON type, and their schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from rest_framework import serializers

WHOLE = re.compile(r"-?[0-9]{1,18}")


class Text(serializers.CharField):
    """A JSON string, as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False} | options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A JSON number without a fraction."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            self.fail("invalid")
        return int(data)


class Number(serializers.FloatField):
    """A JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float) or not math.isfinite(data):
            self.fail("invalid")
        return float(data)


class YesNo(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeParameter(serializers.IntegerField):
    """A whole number in a query: digits and nothing else."""

    def to_internal_value(self, data: Any) -> int:
        if not WHOLE.fullmatch(str(data)):
            self.fail("invalid")
        return int(data)


class NumberParameter(serializers.FloatField):
    """A finite number in a query."""

    def to_internal_value(self, data: Any) -> float:
        number = super().to_internal_value(data)
        if not math.isfinite(number):
            self.fail("invalid")
        return number


class WithUnderscores(serializers.Serializer[Any]):
    """Fields such as `errors_` have no underscore at their end outside: a serializer has attributes
    of these names itself.
    """

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        return {name.rstrip("_"): field for name, field in fields.items()}


class Strict(serializers.Serializer[Any]):
    """Refuses unknown fields, so that typing errors are noticed."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            said = gettext("There is no such field that could be set.")
            raise serializers.ValidationError({name: [said] for name in unknown})
        return super().to_internal_value(data)
