"""PDF: right-to-left scripts are read from the right, whatever order their glyphs were drawn in."""

from __future__ import annotations

from rag.load.pdf import read
from rag.load.pdf_rtl import line_order, with_brackets_turned
from rag.load.pdf_span import Span
from tests.pdfs import make_pdf

LAM_ALEF = "\u0644\u0627"


def right_to_left_pdf(*glyphs: str, meanings: dict[str, str] | None = None) -> bytes:
    """Draw glyphs from left to right, each standing for a letter or, as ligatures do, for what it means."""
    meanings = meanings or {}
    codes = {glyph: number for number, glyph in enumerate(dict.fromkeys(glyphs), 1)}
    maps = "\n".join(
        f"<{code:04X}> <{meanings.get(glyph, glyph).encode('utf-16-be').hex()}>" for glyph, code in codes.items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <FFFF> endcodespacerange\n{len(codes)} beginbfchar\n{maps}\nendbfchar\n"
        "endcmap end end"
    )
    objects = (
        "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [11 0 R] "
        "/ToUnicode 12 0 R >>",
        "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /X /DW 600 /FontDescriptor 13 0 R /CIDSystemInfo "
        "<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        f"<< /Length {len(cmap)} >>\nstream\n{cmap}\nendstream",
        "<< /Type /FontDescriptor /FontName /X /Flags 4 /FontBBox [0 -200 600 800] /ItalicAngle 0 /Ascent 800 "
        "/Descent -200 /CapHeight 700 /StemV 80 >>",
    )
    drawing = "".join(f"{codes[glyph]:04X}" for glyph in glyphs)
    return make_pdf(f"BT /G 12 Tf 72 700 Td <{drawing}> Tj ET", objects=objects)


def test_hebrew_is_read_from_the_right() -> None:
    assert read(right_to_left_pdf(*"ןאכ םולש"), "a.pdf").text == "שלום כאן"


def test_arabic_ligatures_keep_the_order_of_their_letters() -> None:
    data = right_to_left_pdf("م", "*", "س", meanings={"*": LAM_ALEF})
    assert read(data, "a.pdf").text == f"س{LAM_ALEF}م"


def test_arabic_letter_forms_become_letters() -> None:
    assert read(right_to_left_pdf("\ufee1", "\ufefc", "\ufeb3"), "a.pdf").text == f"س{LAM_ALEF}م"


def test_words_of_two_scripts_are_kept_apart() -> None:
    assert read(right_to_left_pdf(*"ןאכ PDF ץבוק"), "a.pdf").text == "קובץ PDF כאן"
    assert read(right_to_left_pdf(*"PDFו ץבוק"), "a.pdf").text == "קובץ ו PDF"


def spans(*words: str) -> list[Span]:
    return [Span(word, 100 * place, 100 * place + 90, 0, 10) for place, word in enumerate(words)]


def test_left_to_right_words_in_a_right_to_left_line_keep_their_order() -> None:
    found = line_order(spans("אחרונה", "Open", "Office", "4", "ראשונה"))
    assert [word.text for word in found] == ["ראשונה", "Open", "Office", "4", "אחרונה"]


def test_brackets_of_a_right_to_left_line_open_where_they_are_read_first() -> None:
    assert with_brackets_turned("מילה )בסוגריים( כאן") == "מילה (בסוגריים) כאן"
    assert with_brackets_turned("מילה (בסוגריים) כאן") == "מילה (בסוגריים) כאן"
