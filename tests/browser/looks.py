"""The looks of a page: light and dark, narrow and wide, in both languages."""

from __future__ import annotations

from itertools import product

import pytest

NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}
SIZES = {"390": NARROW, "1280": WIDE}


def in_every_look(english: str = "en", chinese: str = "zh-hans") -> pytest.MarkDecorator:
    """Gives a test `scheme`, `size` and `lang`.

    One look by default, which is least like the one that all other tests see; the other seven with
    --long.
    """
    looks = []
    for scheme, width, lang in product(("light", "dark"), SIZES, (english, chinese)):
        is_default = (scheme, width, lang) == ("dark", "390", chinese)
        marks = [] if is_default else [pytest.mark.long]
        look = pytest.param(scheme, SIZES[width], lang, id=f"{scheme}-{width}-{lang}", marks=marks)
        looks.append(look)
    return pytest.mark.parametrize(("scheme", "size", "lang"), looks)
