"""What a model's tokens cost. No I/O but `load`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from myagent.models.base import Usage
from traces.models import NANO, Price

PER = 1_000_000
"""Prices are for this many tokens."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices in billionths of the currency for a million tokens."""

    model: str
    valid_from: datetime
    prompt: int
    cached: int
    completion: int

    def fits(self, model: str) -> bool:
        if self.model.endswith("*"):
            return model.startswith(self.model[:-1])
        return model == self.model

    def cost_nano(self, usage: Usage) -> int:
        """Billionths of the currency, rounded."""
        fresh = max(0, usage.prompt_tokens - usage.cached_tokens)
        total = (
            fresh * self.prompt
            + usage.cached_tokens * self.cached
            + usage.completion_tokens * self.completion
        )
        return (total + PER // 2) // PER


class PriceList:
    """The prices as they were when they were last read."""

    def __init__(self, rates: Sequence[Rate] = ()) -> None:
        # An exact name counts before a pattern, a longer one before a shorter one.
        self._rates = sorted(
            rates,
            key=lambda rate: (not rate.model.endswith("*"), len(rate.model), rate.valid_from),
            reverse=True,
        )

    def cost_nano(self, model: str, usage: Usage, at: datetime) -> int | None:
        """What a reply costs; None if the model has no price that is valid at that time."""
        for rate in self._rates:
            if rate.valid_from <= at and rate.fits(model):
                return rate.cost_nano(usage)
        return None


def load() -> PriceList:
    """The prices in the database. Synchronous; raises `django.db.Error`."""
    return PriceList([_rate(price) for price in Price.objects.all()])


def _rate(price: Price) -> Rate:
    cached = price.prompt if price.cached is None else price.cached
    return Rate(
        price.model,
        price.valid_from,
        _nano(price.prompt),
        _nano(cached),
        _nano(price.completion),
    )


def _nano(amount: Decimal) -> int:
    return int(amount * NANO)
