"""The looks of a page: light and dark, narrow and wide, in both languages."""

from __future__ import annotations

from itertools import product

import pytest

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}
SIZES = {"390": NARROW, "1280": WIDE}


def in_every_look(english: str = "en", chinese: str = "zh-hans") -> pytest.MarkDecorator:
    """Gives a test `scheme`, `size` and `lang`.

    Four looks cover every pair of the three; the other four run with --long.
    """
    looks = []
    for place, (scheme, width, lang) in enumerate(
        product(("light", "dark"), SIZES, (english, chinese))
    ):
        marks = [pytest.mark.long] if place.bit_count() % 2 else []
        look = pytest.param(scheme, SIZES[width], lang, id=f"{scheme}-{width}-{lang}", marks=marks)
        looks.append(look)
    return pytest.mark.parametrize(("scheme", "size", "lang"), looks)
