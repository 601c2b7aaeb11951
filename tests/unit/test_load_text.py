"""Plain text: encodings, what counts as binary, and what is removed."""

from __future__ import annotations

import random

import pytest

from models.base import InputError
from rag.load import formats
from rag.load.text import clean, decode, one_line

GERMAN = "Die Größe der Straße überrascht die Gäste. Öffnungszeiten: täglich außer Sonntag."
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. Это обычный русский текст."
JAPANESE = "名前,年齢,住所\n佐藤太郎,30,東京\n三木英子,25,大阪\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_decode_recognises_unicode_without_a_warning(encoding: str) -> None:
    assert decode(("plain text, " + GERMAN).encode(encoding)) == ("plain text, " + GERMAN, ())


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (GERMAN, "latin-1", "cp1252"),
        ("Le café est fermé à cause de la grève déclarée hier soir à Orléans.", "latin-1", "cp1252"),
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8_r"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc-jp", "euc_jp"),
    ],
)
def test_decode_guesses_older_encodings_and_says_so(text: str, encoding: str, named: str) -> None:
    decoded, warnings = decode(text.encode(encoding))
    assert decoded == text
    if named != "cp1252":  # cp1250 reads the same letters in short German and French texts
        assert warnings == (f"is not in UTF-8; it was read as {named}, which is a guess.",)


def test_decode_believes_the_declared_encoding_before_guessing() -> None:
    assert decode(RUSSIAN.encode("koi8-r"), declared="KOI8-R") == (RUSSIAN, ())


def test_decode_prefers_utf_8_to_a_wrong_declaration() -> None:
    assert decode(GERMAN.encode(), declared="iso-8859-1") == (GERMAN, ())


@pytest.mark.parametrize("declared", ["no-such-codec", "zlib", "utf\0", "undefined"])
def test_decode_survives_a_senseless_declaration(declared: str) -> None:
    assert decode("déjà vu, déjà lu".encode("cp1252"), declared)[0].startswith("d")


def test_decode_refuses_binary_data() -> None:
    with pytest.raises(InputError, match="binary"):
        decode(random.Random(7).randbytes(4096))


def test_clean_makes_line_ends_line_feeds_and_drops_control_characters() -> None:
    assert clean("a\r\nb\rc\fd\x00\x1b[0m\x85\tz\ud800") == "a\nb\ncd[0m\tz"


def test_clean_does_not_compose_characters() -> None:
    assert clean("e\u0301") == "e\u0301"


def test_one_line_collapses_and_cuts() -> None:
    assert one_line(" a \n\t b\x07 ") == "a b"
    assert len(one_line("word " * 100)) <= 200


def test_formats_reads_text_of_unknown_suffix() -> None:
    media_type, extracted = formats.read(b"key: value\n", "settings.conf")
    assert (media_type, extracted.text, extracted.title) == ("text/plain", "key: value\n", "settings.conf")


def test_formats_names_the_suffix_it_does_not_support() -> None:
    with pytest.raises(InputError, match=r"not a supported format: \.one; supported are text and code, .*PDF"):
        formats.read(b"\xe4\x52\x5c\x7b" + bytes(100), "notes.one")


def test_formats_refuses_binary_without_suffix() -> None:
    with pytest.raises(InputError, match="is binary, not text, and its name has no suffix"):
        formats.read(b"\x7fELF\0\0\0", "program")


@pytest.mark.parametrize("name", ["a.txt", "a.pdf", "a.html", "a.md", "a"])
def test_formats_refuses_an_empty_file(name: str) -> None:
    with pytest.raises(InputError, match=r"^is empty\.$"):
        formats.read(b"", name)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.rst", "a.py"])
def test_formats_refuses_a_file_of_white_space(name: str) -> None:
    with pytest.raises(InputError, match="holds no text"):
        formats.read(b" \n\t\n", name)


def test_formats_knows_suffixes_in_capital_letters() -> None:
    assert formats.read(b"# Hi\n", "README.MD")[0] == "text/markdown"
