"""Values of options that several verbs take."""

from __future__ import annotations


def tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]
