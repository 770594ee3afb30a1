"""What a conversation is called: the first words of its first message. No I/O."""

from __future__ import annotations

import re
import unicodedata

MAX_TITLE = 200
"""Characters of a title, at most."""

FIRST_WORDS = 60
"""Characters of a message that become a title, at most."""

_READ = 1_000
"""Characters of a message that are looked at: it may be long."""

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that a title may not have: control, direction and line characters."""


def title_from(message: str) -> str:
    """The first words of a message on one line; cut after a word, or within one without blanks."""
    text = cleaned(message[:_READ])
    if len(text) <= FIRST_WORDS:
        return text
    head = text[: FIRST_WORDS + 1]
    words, blank, _ = head.rpartition(" ")
    # Chinese and Japanese have no blanks between words.
    return f"{words if blank and len(words) * 2 >= FIRST_WORDS else head[:FIRST_WORDS]}…"


def cleaned(text: str) -> str:
    """The text on one line, without characters that are not seen, at most `MAX_TITLE` long."""
    joined = re.sub(r"\s+", " ", text)
    seen = "".join(each for each in joined if unicodedata.category(each) not in UNSEEN)
    return seen.strip()[:MAX_TITLE].rstrip()
