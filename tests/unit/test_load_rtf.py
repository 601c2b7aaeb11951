r"""Rich Text: what control words mean for the text, and what of the file is no text."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load.rtf import read
from rag.types import Heading

HEAD = (
    r"{\rtf1\ansi\ansicpg1251\deff0{\fonttbl{\f0\fcharset204 Times;}{\f1\fcharset238 Arial;}{\f2\fcharset128 Mincho;}}"
    r"{\stylesheet{\ql Normal;}{\s1\outlinelevel0 Kop 1;}{\s2\snext0 heading 2;}{\*\cs10 Default;}{\s3 Title;}}"
    r"{\info{\title Of ducks}{\author Ann}{\keywords untitled}}"
)


def text_of(body: str) -> str:
    return read(f"{HEAD}{body}}}".encode("latin-1"), "a.rtf").text


def test_rtf_has_headings_and_properties() -> None:
    body = r"\pard\s3 Top\par\pard\s1 One\line half\par\pard\s2 Two\par\pard text\par\pard\outlinelevel2 Three\par"
    extracted = read(f"{HEAD}{body}}}".encode(), "a.rtf")
    assert extracted.text == "Top\n\nOne half\n\nTwo\n\ntext\n\nThree"
    assert extracted.headings == (
        Heading(0, 1, "Top"),
        Heading(5, 1, "One half"),
        Heading(15, 2, "Two"),
        Heading(26, 3, "Three"),
    )
    assert (extracted.title, dict(extracted.metadata)) == ("Of ducks", {"author": "Ann"})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"\pard\plain \f0\'cf\'f0\'e8\'e2\'e5\'f2", "Привет"),
        (r"{\f1 \'e8}{\f2 \'93\'fa\'96\'7b} x", "č日本 x"),
        (r"\u1055\'cf\uc2\u8364??\uc0\u8364 x\uc1 \u-10179?\u-8703?", "П€€x😁"),
        (r"a\~b\_c\-d\{e\}\\ \'ab\lquote q\rquote\emdash\tab z", "a b-cde}\\ «‘q’—\tz".replace("e}", "{e}")),
        ("a\\\nb\\par\nc\nd\\\r", "a\n\nb\n\ncd"),
        (r"10{\super 6} m{\super nd} H{\sub 2}O", "10^6 mnd H2O"),
        (r"a{\v hidden}{\deleted gone}b", "ab"),
        (r"a{\*\unknown b}{\pict\bin3 }}}00ff}{\fldinst x}c{\*\bkmkstart d}", "ac"),
        (r"{\field{\*\fldinst HYPERLINK x}{\fldrslt link}} on", "link on"),
        (r"text{\footnote\pard A note.} on{\*\annotation{\*\atnref 0}Why?}", "text [A note.] on [Why?]"),
        (r"{\header\pard Page\par}{\headerf\pard Page\par}body\par{\footer foot}", "Page\n\nbody\n\nfoot"),
        (r"{\shp{\*\shpinst{\sp{\sn a}{\sv 1}}{\shptxt In a box\par}}{\shprslt old}}", "In a box"),
    ],
)
def test_rtf_writes_what_is_seen(body: str, text: str) -> None:
    assert text_of(body) == text


def test_rtf_writes_lists_with_their_numbers() -> None:
    bullet, number = r"{\listtext\u8226\'b7\tab}", r"{\*\pntext 1.\tab}"
    assert text_of(rf"\pard{bullet}a\par{number}\ilvl1 b\par\pard c") == "- a\n  1. b\n\nc"


def test_rtf_writes_tables_with_wide_and_high_cells_in_their_places() -> None:
    rows = (
        r"\trowd\cellx100\cellx200\cellx300\pard\intbl A\cell B\cell C\cell\row"
        r"\trowd\cellx201\cellx300\pard\intbl wide\par two\cell c\cell\row"
        r"\trowd\cellx100\cellx200\clvmrg\cellx300\pard\intbl x\cell "
        r"{inner\nestcell t\nestcell{\*\nesttableprops\nestrow}}\cell \cell\row\pard end"
    )
    assert text_of(rows) == ("| A | B | C |\n| --- | --- | --- |\n| wide two |  | c |\n| x | inner t | c |\n\nend")


def test_rtf_that_ends_too_early_is_read_with_a_warning() -> None:
    extracted = read(rb"{\rtf1 text{\b bold", "a.rtf")
    assert extracted.text == "textbold"
    assert extracted.warnings == ("ends in the middle, so what follows may be missing.",)


def test_rtf_ends_with_its_outermost_group() -> None:
    assert read(rb"{\rtf1 text}} more", "a.rtf").text == "text"


def test_rtf_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="is damaged, or no Rich Text"):
        read(b"text", "a.rtf")
