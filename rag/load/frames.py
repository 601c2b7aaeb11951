"""
Messages on a pipe: four bytes of length, big-endian, then as many bytes.

Both ends of the pipe to the reading process speak this. What travels is JSON (or a file's bytes), never pickles,
because the reading process handles hostile files and the other end must not have to trust it.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

_LENGTH = struct.Struct(">I")


def write_frame(stream: BinaryIO, payload: bytes) -> None:
    """Send one message; blocks while the pipe is full."""
    stream.write(_LENGTH.pack(len(payload)))
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO, limit: int) -> bytes | None:
    """
    Receive one message.

    Args:
        stream: the pipe.
        limit: the longest message to accept, in bytes.

    Returns:
        The message, or None when the other end is gone (also in the middle of a message).

    Raises:
        ValueError: the announced length is beyond the limit.
    """
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    if length > limit:
        raise ValueError(f"a message of {length} bytes was announced, and the limit is {limit}")
    payload = stream.read(length)
    return payload if len(payload) == length else None
