"""Sample questions that an agent offers to people who don't know what to ask."""

from __future__ import annotations

from collections.abc import Iterable

MAX_EXAMPLES = 12
MAX_EXAMPLE_LENGTH = 500
"""Maximum number of characters of a question."""


def checked(given: object) -> tuple[str, ...]:
    """The list as a tuple; None becomes an empty one. Raises `TypeError`, `ValueError`."""
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"examples must be a list of questions, not {type(given).__name__}")
    examples = tuple(given)
    if len(examples) > MAX_EXAMPLES:
        raise ValueError(f"examples has {len(examples)} questions; {MAX_EXAMPLES} are allowed")
    for example in examples:
        if not isinstance(example, str):
            raise TypeError(f"examples must hold texts, not {example!r}")
        if not example.strip():
            raise ValueError("examples holds an empty question")
        if len(example) > MAX_EXAMPLE_LENGTH:
            raise ValueError(
                f"a question in examples has {len(example)} characters; "
                f"{MAX_EXAMPLE_LENGTH} are allowed"
            )
    return examples
