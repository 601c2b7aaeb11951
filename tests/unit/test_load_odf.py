"""OpenDocument: texts and presentations, from parts as office programs write them."""

from __future__ import annotations

import pytest

from models.base import InputError
from rag.load.odf import read
from rag.load.values import Extracted
from tests.archives import archive

SPACES = ("office", "style", "text", "table", "draw:drawing", "presentation", "svg:svg-compatible", "meta")
DECLARED = " ".join(
    f'xmlns:{name.partition(":")[0]}="urn:oasis:names:tc:opendocument:xmlns:{name.rpartition(":")[2]}:1.0"'
    for name in SPACES
)
DECLARED += ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'


def package(body: str, styles: str = "", masters: str = "", parts: dict[str, str] | None = None) -> bytes:
    """A document with this body and these automatic styles."""
    automatic = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    return archive({
        "content.xml": f"<office:document-content {DECLARED}>{automatic}<office:body>{body}</office:body>"
        "</office:document-content>",
        "styles.xml": f"<office:document-styles {DECLARED}><office:master-styles>{masters}</office:master-styles>"
        "</office:document-styles>",
        **(parts or {}),
    })  # fmt: skip


def read_text(body: str, styles: str = "", masters: str = "", parts: dict[str, str] | None = None) -> Extracted:
    return read(package(f"<office:text>{body}</office:text>", styles, masters, parts), "a.odt")


def text_of(body: str, styles: str = "") -> str:
    return read_text(body, styles).text


def p(content: str, style: str = "Standard") -> str:
    return f'<text:p text:style-name="{style}">{content}</text:p>'


def items(*contents: str, attributes: str = "") -> str:
    inner = "".join(f"<text:list-item>{each}</text:list-item>" for each in contents)
    return f"<text:list {attributes}>{inner}</text:list>"


def table(*rows: str) -> str:
    return f"<table:table>{''.join(f'<table:table-row>{row}</table:table-row>' for row in rows)}</table:table>"


def cell(content: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}>{content}</table:table-cell>"


def test_odf_keeps_order_headings_and_properties() -> None:
    meta = (
        f"<office:document-meta {DECLARED}><office:meta><dc:title>Untitled</dc:title><dc:creator>Last</dc:creator>"
        "<meta:initial-creator>Ann</meta:initial-creator><meta:keyword>a</meta:keyword><meta:keyword>b</meta:keyword>"
        "<meta:creation-date>2024-05-06T07:08:09</meta:creation-date></office:meta></office:document-meta>"
    )
    styles = '<style:style style:name="P1" style:parent-style-name="Title"/>'
    body = p("Handbook", "P1") + '<text:h text:outline-level="2">Doors</text:h>' + p("Text.")
    extracted = read_text(body, styles, parts={"meta.xml": meta})
    assert extracted.text == "Handbook\n\nDoors\n\nText."
    assert [(heading.start, heading.level, heading.title) for heading in extracted.headings] == [
        (0, 1, "Handbook"),
        (10, 2, "Doors"),
    ]
    assert extracted.title == "Handbook"
    assert dict(extracted.metadata) == {"author": "Ann", "keywords": "a, b", "created": "2024-05-06"}


def test_odf_reads_white_space_signs_and_raised_numbers() -> None:
    styles = (
        '<style:style style:name="T1"><style:text-properties style:text-position="super 58%"/></style:style>'
        '<style:style style:name="T2"><style:text-properties style:text-position="33% 58%"/></style:style>'
        '<style:style style:name="T3"><style:text-properties style:text-position="-33% 58%"/></style:style>'
    )
    spans = "".join(f'<text:span text:style-name="T{number}">2</text:span>' for number in (1, 2, 3))
    assert text_of(p("  one\n  two <text:s text:c='2'/>x<text:tab/>y<text:line-break/> z")) == "one two   x\ty\nz"
    assert text_of(p(f"a{spans}<text:a>link</text:a>"), styles) == "a^2^22link"


def test_odf_numbers_items_and_headings_as_they_are_shown() -> None:
    number = '<text:list-level-style-number text:level="{}" style:num-format="{}" style:num-suffix="{}" {}/>'
    styles = (
        '<text:list-style style:name="L">' + number.format(1, "1", ".", 'text:start-value="3"')
        + number.format(2, "a", ")", 'text:display-levels="2"') + "</text:list-style>"
        + '<text:outline-style><text:outline-level-style text:level="1" style:num-format="I" style:num-suffix="."/>'
        '<text:outline-level-style text:level="2" style:num-format="1" text:display-levels="2"/></text:outline-style>'
    )  # fmt: skip
    body = (
        items(p("three") + items(p("sub")), p("four"), attributes='text:style-name="L"')
        + p("Between.")
        + items(p("five"), attributes='text:style-name="L" text:continue-numbering="true"')
        + items(p("dot") + p("more"))
        + "".join(
            f'<text:h text:outline-level="{level}">{name}</text:h>' for level, name in ((1, "A"), (2, "B"), (1, "C"))
        )
    )
    extracted = read_text(body, styles)
    assert extracted.text == (
        "3. three\n  3.a) sub\n4. four\n\nBetween.\n\n5. five\n- dot\n\nmore\n\nI. A\n\nI.1 B\n\nII. C"
    )
    assert [heading.title for heading in extracted.headings] == ["I. A", "I.1 B", "II. C"]


def test_odf_spells_out_repeated_and_merged_cells() -> None:
    covered = "<table:covered-table-cell/>"
    inner = table(cell(p("m")) + cell(p("n")), cell(""))
    rows = (
        cell(p("Floor")) + cell(p("Room")) + cell(p("x"), 'table:number-columns-repeated="2"'),
        cell(p("1"), 'table:number-rows-spanned="2"') + cell(p("A")) + cell(p("B"), 'table:number-columns-spanned="2"')
        + covered,
        covered + cell(items(p("one"))) + cell(items(p("a"), p("b"))) + cell(inner),
    )  # fmt: skip
    assert text_of(table(*rows)) == (
        "| Floor | Room | x | x |\n| --- | --- | --- | --- |\n| 1 | A | B |  |\n| 1 | one | - a - b | m, n |"
    )


def test_odf_takes_tables_apart_that_only_arrange() -> None:
    inner = table(cell(p("a")) + cell(p("b")), cell(p("c")) + cell(p("d")))
    assert text_of(table(cell(p("x")) + cell(inner))) == "x\n\n| a | b |\n| --- | --- |\n| c | d |"


def test_odf_bounds_how_often_cells_and_rows_repeat() -> None:
    row = cell(p("x"), 'table:number-columns-repeated="1000000"') + cell(p("y"))
    repeated = table(row, row).replace("<table:table-row>", '<table:table-row table:number-rows-repeated="9999999">')
    lines = text_of(repeated).split("\n")
    assert len(lines) == 2001
    assert lines[0].count("x") == 200


def test_odf_leaves_out_deleted_text_and_the_table_of_contents() -> None:
    region = f"<text:changed-region><text:deletion>{p('gone')}</text:deletion></text:changed-region>"
    deleted = f"<text:tracked-changes>{region}</text:tracked-changes>"
    contents = f"<text:table-of-content><text:index-body>{p('Contents')}</text:index-body></text:table-of-content>"
    section = f"<text:section>{p('kept<text:change/>')}</text:section>"
    assert text_of(f"{deleted}{contents}{section}") == "kept"


def test_odf_puts_notes_comments_and_boxes_behind_their_paragraph() -> None:
    body = f"<text:note-body>{p('See page 3.')}</text:note-body>"
    note = f"<text:note><text:note-citation>1</text:note-citation>{body}</text:note>"
    comment = f"<office:annotation><dc:creator>Bea</dc:creator>{p('Really?')}</office:annotation>"
    box = f"<draw:frame><draw:text-box>{p('In the box.')}</draw:text-box></draw:frame>"
    picture = "<draw:frame><draw:image/><svg:title>A duck</svg:title><svg:desc>image1.png</svg:desc></draw:frame>"
    assert text_of(p(f"One{note}{comment}{box}{picture}.") + p(f"Two{note}.")) == (
        "One[^1].\n\nIn the box.\n\nPicture: A duck\n\n[^1]: See page 3.\n\nComment (Bea): Really?\n\n"
        "Two[^2].\n\n[^2]: See page 3."
    )


def test_odf_writes_headers_first_and_footers_last_each_once() -> None:
    page = "<text:page-number>1</text:page-number>"
    masters = (
        f"<style:master-page><style:header>{p('Policy 7')}</style:header><style:header-first>{p('Policy 7')}"
        f"</style:header-first><style:footer-left style:display='false'>{p('no')}</style:footer-left>"
        f"<style:footer>{p(f'Page {page}')}</style:footer></style:master-page>"
    )
    assert read_text(p("Body."), masters=masters).text == "Policy 7\n\nBody.\n\nPage"


def test_odf_reads_embedded_charts_and_equations() -> None:
    numbers = table(cell("") + cell(p("n")), cell(p("May")) + cell(p("5")))
    chart = f"<office:chart {DECLARED}><office:body>{p('Traffic')}{numbers}</office:body></office:chart>"
    maths = (
        '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mi>a</mi>'
        '<annotation encoding="StarMath 5.0">a over\nb</annotation></semantics></math>'
    )
    body = p("".join(f'<draw:frame><draw:object xlink:href="./Object {n}"/></draw:frame>' for n in (1, 2, 3)))
    parts = {"Object 1/content.xml": chart, "Object 2/content.xml": maths}
    assert read_text(body, parts=parts).text == "Traffic\n\n|  | n |\n| --- | --- |\n| May | 5 |\n\na over b"


def frame(content: str, kind: str) -> str:
    return f'<draw:frame presentation:class="{kind}"><draw:text-box>{content}</draw:text-box></draw:frame>'


def test_odf_makes_pages_of_slides_with_their_notes() -> None:
    first = (
        frame(p("Ask"), "outline") + frame(p("Badges"), "title") + frame(p("1"), "page-number")
        + f"<presentation:notes>{frame(p('Mention the fee.'), 'notes')}</presentation:notes>"
    )  # fmt: skip
    shape = f"<draw:g><draw:custom-shape>{p('No title here.')}</draw:custom-shape></draw:g>"
    slides = "".join(f"<draw:page>{content}</draw:page>" for content in (first, shape))
    extracted = read(package(f"<office:presentation>{slides}</office:presentation>"), "a.odp")
    assert extracted.text == "Badges\n\nAsk\n\nNotes: Mention the fee.\n\nSlide 2\n\nNo title here."
    assert extracted.page_starts == (0, extracted.text.index("Slide 2"))
    assert [heading.title for heading in extracted.headings] == ["Badges", "Slide 2"]
    assert extracted.title == "Badges"


def test_odf_says_what_is_wrong() -> None:
    encrypted = {"META-INF/manifest.xml": "<file-entry><encryption-data/></file-entry>"}
    with pytest.raises(InputError, match="is encrypted; save it without a password"):
        read_text("", parts=encrypted)
    with pytest.raises(InputError, match=r"no OpenDocument file: it has no content\.xml"):
        read(archive({"a.txt": "x"}), "a.odt")
    with pytest.raises(InputError, match=r"its part 'content\.xml' is no valid XML"):
        read(archive({"content.xml": "<x>"}), "a.odt")
    with pytest.raises(InputError, match="it has no body"):
        read(archive({"content.xml": "<x/>"}), "a.odt")
