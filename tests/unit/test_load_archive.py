"""Archives: what is refused before anything in them is used."""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO

import pytest

from models.base import InputError
from rag.load.archive import MOST_BYTES, MOST_MEMBERS, open_zip
from tests.archives import archive

CENTRAL = b"PK\x01\x02"


def test_archive_opens_with_all_its_members() -> None:
    opened = open_zip(archive({"a.txt": "one", "b/c.txt": "two"}))
    assert {name: opened.read(name) for name in opened.namelist()} == {"a.txt": b"one", "b/c.txt": b"two"}


def declaring(data: bytes, size: int) -> bytes:
    """Return an archive whose last member declares a size."""
    changed = bytearray(data)
    entry = changed.rindex(CENTRAL)
    changed[entry + 24 : entry + 28] = struct.pack("<I", size)
    return bytes(changed)


def test_archive_refuses_what_inflates_too_far_by_what_it_declares() -> None:
    with pytest.raises(InputError, match="inflates to more than the limit of 512 MiB"):
        open_zip(declaring(archive({"a": "small"}), MOST_BYTES + 1))


def test_archive_refuses_what_inflates_too_far_whatever_it_declares() -> None:
    buffer = BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened,
        opened.open("bomb", "w") as bomb,
    ):
        for _ in range(MOST_BYTES >> 20):
            bomb.write(bytes(1 << 20))
        bomb.write(b"and more")
    with pytest.raises(InputError, match="inflates to more than the limit of 512 MiB"):
        open_zip(declaring(buffer.getvalue(), 10))


def test_archive_names_a_member_of_another_size_than_it_declares() -> None:
    with pytest.raises(InputError, match="'a' declares 10 bytes and has 100"):
        open_zip(declaring(archive({"a": "x" * 100}), 10))


def test_archive_refuses_too_many_members() -> None:
    with pytest.raises(InputError, match="archive of 20,001 members, and the limit is 20,000"):
        open_zip(archive({str(number): "" for number in range(MOST_MEMBERS + 1)}))


def test_archive_refuses_encrypted_members() -> None:
    data = bytearray(archive({"a": "text"}))
    data[data.rindex(CENTRAL) + 8] |= 1
    with pytest.raises(InputError, match="is encrypted"):
        open_zip(bytes(data))


def test_archive_refuses_methods_that_inflate_without_bounds() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("a", "text")
    with pytest.raises(InputError, match="packed by a method that no such file uses"):
        open_zip(buffer.getvalue())


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_archive_names_damage(cut: int) -> None:
    with pytest.raises(InputError, match="is damaged, or of another kind"):
        open_zip(archive({"a": "text" * 50})[:cut])


def test_archive_names_a_member_that_does_not_match_its_checksum() -> None:
    data = bytearray(archive({"a": "text"}))
    entry = data.rindex(CENTRAL)
    data[entry + 16] ^= 1
    with pytest.raises(InputError, match="Bad CRC-32 for file 'a'"):
        open_zip(bytes(data))
