"""Frames on a link: a length in four bytes, then as many bytes of JSON. No I/O."""

from __future__ import annotations

import struct

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Of one frame, in either direction. Whoever has a larger one to send must not send it."""

_LENGTH = struct.Struct(">I")


class FrameTooLarge(Exception):
    """A frame has more than `MAX_FRAME_BYTES`."""


def framed(payload: bytes) -> bytes:
    """The payload as it goes over the link. Raises `FrameTooLarge`."""
    if len(payload) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"a frame of {len(payload)} bytes")
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Puts the bytes that arrive together to frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now.

        Raises `FrameTooLarge` as soon as one is announced: what follows can't be
        read any more.
        """
        buffer = self._buffer
        buffer += data
        frames = []
        place = 0
        while len(buffer) - place >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, place)
            if length > MAX_FRAME_BYTES:
                raise FrameTooLarge(f"a frame of {length} bytes")
            end = place + _LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[place + _LENGTH.size : end]))
            place = end
        if place:
            del buffer[:place]
        return frames
