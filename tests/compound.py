"""Compound files (MS-CFB), made for tests of what is read from them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_SECTOR, _MINI_SECTOR, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_NONE = 0xFFFFFFFF
_STORAGE, _STREAM, _ROOT = 1, 2, 5

Path = tuple[str, ...]


def compound_file(streams: Mapping[Path, bytes]) -> bytes:
    """
    Write a compound file of version 3.

    Args:
        streams: the names that lead to each stream, the outermost storage first -> its bytes.
    """
    paths = sorted({path[: depth + 1] for path in streams for depth in range(len(path))})
    sectors: list[bytes] = []
    fat: list[int] = []
    mini, mini_fat = b"", list[int]()
    places: dict[Path, int] = {}
    for path, data in streams.items():
        if len(data) >= _CUTOFF:
            places[path] = _append(sectors, fat, data)
        elif data:
            places[path] = len(mini_fat)
            mini += _padded(data, _MINI_SECTOR)
            mini_fat += _chain(len(mini_fat), len(mini) // _MINI_SECTOR)
    mini_start = _append(sectors, fat, mini)
    mini_fat_start = _append(sectors, fat, b"".join(struct.pack("<I", entry) for entry in mini_fat), b"\xff")
    entries = [_entry("Root Entry", _ROOT, _child((), paths), _NONE, mini_start, len(mini))]
    for path in paths:
        kind = _STREAM if path in streams else _STORAGE
        start, size = places.get(path, _END if kind == _STREAM else 0), len(streams.get(path, b""))
        entries.append(_entry(path[-1], kind, _child(path, paths), _next(path, paths), start, size))
    directory = _append(sectors, fat, b"".join(entries))
    fat_sectors = 1
    while fat_sectors * _SECTOR < 4 * (len(fat) + fat_sectors):
        fat_sectors += 1
    fat_start = len(sectors)
    fat += [_FAT] * fat_sectors
    table = _padded(b"".join(struct.pack("<I", entry) for entry in fat), _SECTOR, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII",
        *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", bytes(16), 0x3E, 3, 0xFFFE, 9, 6, 0, fat_sectors, directory, 0, _CUTOFF),
        *(mini_fat_start, -(-4 * len(mini_fat) // _SECTOR), _END, 0),
    )
    difat = struct.pack("<109I", *range(fat_start, fat_start + fat_sectors), *[_FREE] * (109 - fat_sectors))
    return header + difat + b"".join(sectors) + table


def _append(sectors: list[bytes], fat: list[int], data: bytes, filler: bytes = b"\0") -> int:
    """Add a chain of sectors, and return the number of its first."""
    if not data:
        return _END
    start, data = len(sectors), _padded(data, _SECTOR, filler)
    sectors += [data[at : at + _SECTOR] for at in range(0, len(data), _SECTOR)]
    fat += _chain(start, len(sectors))
    return start


def _chain(start: int, end: int) -> list[int]:
    return [*range(start + 1, end), _END]


def _padded(data: bytes, size: int, filler: bytes = b"\0") -> bytes:
    return data + filler * (-len(data) % size)


def _siblings(path: Path, paths: list[Path]) -> list[Path]:
    return [other for other in paths if other[:-1] == path[:-1]]


def _child(path: Path, paths: list[Path]) -> int:
    """Return the number of the first entry in a storage; the others hang on it as a list, which is a tree too."""
    return next((number for number, other in enumerate(paths, 1) if other[:-1] == path and other != path), _NONE)


def _next(path: Path, paths: list[Path]) -> int:
    later = [other for other in _siblings(path, paths) if other > path]
    return paths.index(later[0]) + 1 if later else _NONE


def _entry(name: str, kind: int, child: int, sibling: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return struct.pack(
        "<64sHBBIII16sIQQIQ", encoded, len(encoded), kind, 1, _NONE, sibling, child, bytes(16), 0, 0, 0, start, size
    )
