"""Frames come out as they went in, however they are cut on the way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from myagent.worker.framing import MAX_FRAME_BYTES, FrameReader, FrameTooLarge, framed


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(0, 600), max_size=20))
def test_frames_come_whole_and_in_order_whatever_the_pieces(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(framed, payloads))
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = FrameReader()
    heard = [frame for begin, end in pairwise(edges) for frame in reader.feed(stream[begin:end])]
    assert heard == payloads


def test_the_largest_frame_passes_and_a_larger_one_is_refused_at_both_ends() -> None:
    assert FrameReader().feed(framed(b"x" * MAX_FRAME_BYTES)) == [b"x" * MAX_FRAME_BYTES]
    with pytest.raises(FrameTooLarge):
        framed(b"x" * (MAX_FRAME_BYTES + 1))
    with pytest.raises(FrameTooLarge):
        FrameReader().feed((MAX_FRAME_BYTES + 1).to_bytes(4))
