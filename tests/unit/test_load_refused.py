"""Files that are refused by their suffix: the reason says what they are."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.refused import REASONS


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a.zip", "is an archive; unpack it"),
        ("a.tar.gz", "is an archive; unpack it"),
        ("photo.HEIC", "is a picture"),
        ("talk.mp3", "is a recording; index its transcript"),
        ("setup.exe", "is a program"),
        ("store.sqlite3", "is a database; export"),
        ("model.safetensors", "weights"),
    ],
)
def test_refused_files_get_their_reason(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        formats.read(b"PK\x03\x04 anything", name)


def test_refused_suffixes_are_none_that_are_read() -> None:
    assert not REASONS.keys() & formats.FORMATS.keys()
