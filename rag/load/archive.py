"""
ZIP archives, in which most formats of documents are packed: measured before anything in them is used.

A few kilobytes can inflate to gigabytes, and what an archive declares about itself may be a lie, so every member is
inflated once, counted and thrown away.
"""

from __future__ import annotations

import sys
import zlib
from copy import copy
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from models.base import InputError

MOST_MEMBERS = 20_000
"""The largest books and presentations measured hold a few thousand members."""
MOST_BYTES = 1 << 29
"""Half of the memory that a reader has by default, for all members together."""

_ENCRYPTED = 0x1
_BLOCK = 1 << 16


def open_zip(data: bytes) -> ZipFile:
    """
    Open an archive of which every member can be read, and all of them fit into memory.

    Args:
        data: the whole file.

    Returns:
        The archive; the sizes in its directory are the true ones.

    Raises:
        InputError: it is no ZIP archive, damaged, encrypted, packed by an unusual method, has more than
            ``MOST_MEMBERS`` members, or inflates to more than ``MOST_BYTES``.
    """
    try:
        archive = ZipFile(BytesIO(data))
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise InputError(f"is an archive of {len(members):,} members, and the limit is {MOST_MEMBERS:,}.")
        room = MOST_BYTES
        for member in members:
            _check(member)
            room -= _inflated_size(archive, member, room)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise InputError(f"is damaged, or of another kind than its name says ({error}).") from error
    return archive


def _check(member: ZipInfo) -> None:
    """Refuse what cannot be inflated block by block."""
    if member.flag_bits & _ENCRYPTED:
        raise InputError("is encrypted; save it without a password.")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise InputError(f"is packed by a method that no such file uses (number {member.compress_type}).")


def _inflated_size(archive: ZipFile, member: ZipInfo, room: int) -> int:
    """Return how many bytes a member really has; at most ``room`` of them are inflated."""
    honest = copy(member)
    honest.file_size = sys.maxsize  # else only as much would be inflated as the archive declares
    size = 0
    if member.file_size <= room:
        with archive.open(honest) as file:
            while size <= room and (block := file.read(_BLOCK)):
                size += len(block)
    if max(size, member.file_size) > room:
        raise InputError(f"inflates to more than the limit of {MOST_BYTES / 2**20:g} MiB.")
    if size != member.file_size:
        raise InputError(f"is damaged: {member.filename!r} declares {member.file_size:,} bytes and has {size:,}.")
    return size
