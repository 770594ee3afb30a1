"""Text to terms: folded, stemmed words; pairs of Chinese characters; meanings.

A term is a string: `weather` (a stem), `天气` (a pair of characters) or `#3`
(a meaning that several words share).
"""

from __future__ import annotations

import re
from functools import lru_cache

from myagent.models.offline.lexicon import SAME_MEANING, STOP_PHRASES_ZH, STOP_WORDS

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
CJK_RUN = re.compile(f"[{CJK}]+")
LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f0-9]+")
CAMEL_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z\u00c0-\u024f]+|\d+")
STOP_ZH = re.compile("|".join(sorted(map(re.escape, STOP_PHRASES_ZH), key=len, reverse=True)))
_GLUE_ZH = re.compile("[的了吗呢吧和与或及]")


def has_chinese(text: str) -> bool:
    return CJK_RUN.search(text) is not None


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Folds case and the commonest English endings; the same word always gives the same stem."""
    word = word.casefold()
    if len(word) < 4 or not word.isascii():
        return word
    word = _singular(word)
    for ending, keep in (("ing", 3), ("ed", 3), ("ion", 4)):
        if word.endswith(ending) and len(word) - len(ending) >= keep:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def is_stop_word(word: str) -> bool:
    """Of the forms of a stop word only its plural counts: `running` may be a topic."""
    word = word.casefold()
    return word in STOP_WORDS or _singular(word) in STOP_WORDS


_MEANING = {
    (stem(word) if word.isascii() else word): f"#{number}"
    for number, group in enumerate(SAME_MEANING)
    for word in group
}
_MEANING_ZH = re.compile(
    "|".join(sorted((word for word in _MEANING if not word.isascii()), key=len, reverse=True))
)


def name_words(name: str) -> list[str]:
    """`getCityInfo2` or `get_city_info_2` -> `['get', 'city', 'info', '2']`."""
    return [
        part.casefold()
        for word in LATIN_WORD.findall(name)
        for part in CAMEL_PART.findall(word) or [word]
    ]


def latin_stems(text: str) -> list[str]:
    """The stems of the words and of the parts of camel-case words, in order; no stop words."""
    found: list[str] = []
    for word in LATIN_WORD.findall(text):
        parts = CAMEL_PART.findall(word)
        for part in (word, *parts) if len(parts) > 1 else (word,):
            if not is_stop_word(part):
                found.append(stem(part))
    return found


def pairs(run: str) -> list[str]:
    """Neighbouring characters, two by two: Chinese words without a dictionary."""
    return [run[i : i + 2] for i in range(len(run) - 1)]


def cjk_pairs(text: str) -> list[str]:
    return [
        pair
        for run in CJK_RUN.findall(text)
        for part in _GLUE_ZH.sub(" ", STOP_ZH.sub(" ", run)).split()
        for pair in pairs(part)
    ]


def meanings(text: str) -> set[str]:
    """The meanings named in the text; of stop words too ('about')."""
    found = {_MEANING[folded] for folded in map(stem, name_words(text)) if folded in _MEANING}
    if has_chinese(text):
        found.update(_MEANING[word] for word in _MEANING_ZH.findall(text))
    return found


def meaning_spans_zh(text: str, wanted: frozenset[str]) -> list[tuple[int, int]]:
    """Where Chinese words stand whose meaning is in `wanted`."""
    return [m.span() for m in _MEANING_ZH.finditer(text) if _MEANING[m.group()] in wanted]


def meaning_of(folded: str) -> str | None:
    return _MEANING.get(folded)


def terms(text: str) -> list[str]:
    """The literal terms of a text, in order, repeated as they come."""
    found = latin_stems(text)
    if has_chinese(text):
        found += cjk_pairs(text)
    return found
