"""A process that ends again and again is replaced ever later; one that had settled, soon."""

from __future__ import annotations

from services.serving.pauses import FIRST_S, LONGEST_S, SETTLED_S, Pauses


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses()
    taken = [pauses.after(1.0) for _ in range(7)]
    assert taken == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0]
    assert taken[0] == FIRST_S and taken[-1] == LONGEST_S


def test_after_a_process_that_had_settled_they_begin_anew() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.after(1.0)
    assert pauses.after(SETTLED_S) == FIRST_S
    assert pauses.after(1.0) == 2 * FIRST_S
