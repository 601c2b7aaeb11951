"""Word documents: order, headings, numbers, tables, and what is found only in the package's XML."""

from __future__ import annotations

import re
from io import BytesIO

import docx
import pytest
from docx.document import Document

from models.base import InputError
from rag.load.docx import read
from rag.types import Heading
from tests.archives import archive, changed

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
BODY = "word/document.xml"


def saved(document: Document) -> bytes:
    buffer = BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def with_body(markup: str, parts: dict[str, bytes] | None = None) -> bytes:
    """A document whose body is this markup; ``w:`` and ``m:`` are declared."""
    root = f"<w:document {W} {M}><w:body>{markup}</w:body></w:document>"
    return changed(saved(docx.Document()), {BODY: root.encode(), **(parts or {})})


def text_of(markup: str, parts: dict[str, bytes] | None = None) -> str:
    return read(with_body(markup, parts), "a.docx").text


def paragraph(runs: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr>{runs}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_docx_keeps_paragraphs_tables_and_headings_in_order() -> None:
    document = docx.Document()
    document.core_properties.title = "Handbook"
    document.core_properties.author = "Ann"
    document.core_properties.keywords = "badge, door"
    document.add_heading("Access", 1)
    document.add_paragraph("Before.")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ["Door", "Code", "A|B", "12"], strict=True
    ):
        cell.text = text
    document.add_heading("Lost badges", 2)
    document.add_paragraph("First", "List Bullet")
    document.add_paragraph("Second", "List Bullet")
    extracted = read(saved(document), "a.docx")
    assert extracted.text == (
        "Access\n\nBefore.\n\n| Door | Code |\n| --- | --- |\n| A\\|B | 12 |\n\nLost badges\n\n- First\n- Second"
    )
    assert extracted.headings == (Heading(0, 1, "Access"), Heading(extracted.text.index("Lost"), 2, "Lost badges"))
    assert extracted.title == "Handbook"
    assert extracted.metadata["author"] == "Ann"
    assert extracted.metadata["keywords"] == "badge, door"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(extracted.metadata["created"]))


@pytest.mark.parametrize("title", ["", "Document1", "Microsoft Word - x.doc", "report.docx"])
def test_docx_takes_its_title_from_the_text_where_no_person_set_one(title: str) -> None:
    document = docx.Document()
    document.core_properties.title = title
    document.add_paragraph("A letterhead")
    document.add_paragraph("The report", "Title")
    document.add_heading("Introduction", 1)
    assert read(saved(document), "a.docx").title == "The report"


def test_docx_knows_headings_of_custom_styles_by_their_outline_level() -> None:
    styles = f"""<w:styles {W}><w:style w:type="paragraph" w:styleId="X"><w:name w:val="Überschrift"/>
        <w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
        <w:style w:type="paragraph" w:styleId="Y"><w:name w:val="Derived"/><w:basedOn w:val="X"/></w:style>
        <w:style w:type="paragraph" w:styleId="L"><w:name w:val="Loop"/><w:basedOn w:val="L"/></w:style></w:styles>"""
    markup = "".join(paragraph(run(name), f'<w:pStyle w:val="{name}"/>') for name in ("X", "Y", "L"))
    markup += paragraph(run("direct"), '<w:outlineLvl w:val="7"/>') + paragraph(
        run("body"), '<w:outlineLvl w:val="9"/>'
    )
    extracted = read(with_body(markup, {"word/styles.xml": styles.encode()}), "a.docx")
    assert [(heading.level, heading.title) for heading in extracted.headings] == [(2, "X"), (2, "Y"), (6, "direct")]


NUMBERING = f"""<w:numbering {W}><w:abstractNum w:abstractNumId="0">
    <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>
    <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:isLgl/><w:lvlText w:val="%1.%2"/></w:lvl>
    <w:lvl w:ilvl="2"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%3)"/></w:lvl>
    <w:lvl w:ilvl="3"><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl></w:abstractNum>
    <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="0"/>
    <w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride></w:num></w:numbering>"""


def numbered(text: str, level: int, numbering: int = 1, style: str = "") -> str:
    properties = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{numbering}"/></w:numPr>{style}'
    return paragraph(run(text), properties)


def test_docx_writes_the_numbers_that_word_computes() -> None:
    markup = (
        numbered("one", 0) + numbered("sub", 1) + numbered("deep", 2) + numbered("deeper", 2) + numbered("dot", 3)
        + numbered("two", 0) + numbered("skipping", 2) + numbered("next", 1) + numbered("seven", 0, 2)
        + numbered("eight", 0) + numbered("none", 0, 0) + numbered("Section", 1, 1, '<w:outlineLvl w:val="0"/>')
    )  # fmt: skip
    assert text_of(markup, {"word/numbering.xml": NUMBERING.encode()}) == (
        "I. one\n  1.1 sub\n    (c) deep\n    (d) deeper\n      - dot\nII. two\n    (c) skipping\n  2.2 next\n"
        "VII. seven\nVIII. eight\n\nnone\n\n8.1 Section"
    )


def test_docx_survives_numberings_without_names() -> None:
    nameless = NUMBERING.replace(' w:abstractNumId="0"', "").replace(' w:numId="1"', "")
    assert text_of(numbered("plain", 0), {"word/numbering.xml": nameless.encode()}) == "plain"


def test_docx_writes_the_number_of_a_cell_without_words() -> None:
    rows = "".join(row(cell(numbered("", 0)), cell(paragraph(run(text)))) for text in ("a", "b"))
    assert text_of(f"<w:tbl>{rows}</w:tbl>", {"word/numbering.xml": NUMBERING.encode()}) == (
        "| I. | a |\n| --- | --- |\n| II. | b |"
    )


def test_docx_bounds_what_hostile_numbers_can_ask_for() -> None:
    huge = '<w:gridSpan w:val="999999999"/>'
    rows = (row(cell(paragraph(run("a")), huge), cell(paragraph(run("b")))), row(cell(paragraph(run("c")))))
    assert len(text_of(f"<w:tbl>{''.join(rows)}</w:tbl>").split("\n")[0].split("|")) == 202


def test_docx_accepts_all_changes() -> None:
    markup = paragraph(
        run("kept ")
        + '<w:ins w:id="1">' + run("inserted ") + "</w:ins>"
        + '<w:del w:id="2"><w:r><w:delText>deleted</w:delText></w:r></w:del>'
        + '<w:moveFrom w:id="3">' + run("moved away") + "</w:moveFrom>"
        + '<w:moveTo w:id="4">' + run("moved here") + "</w:moveTo>"
    )  # fmt: skip
    gone = "<w:tr><w:trPr><w:del w:id='5'/></w:trPr><w:tc>" + paragraph(run("gone")) + "</w:tc></w:tr>"
    assert text_of(f"{markup}<w:tbl>{gone}</w:tbl>") == "kept inserted moved here"


def test_docx_leaves_out_what_readers_do_not_see() -> None:
    contents = '<w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr>'
    placeholder = "<w:sdtPr><w:showingPlcHdr/></w:sdtPr>"
    markup = (
        f"<w:sdt>{contents}<w:sdtContent>{paragraph(run('Contents'))}</w:sdtContent></w:sdt>"
        f"<w:sdt>{placeholder}<w:sdtContent>{paragraph(run('Click here'))}</w:sdtContent></w:sdt>"
        + paragraph(run("seen") + run("hidden", "<w:vanish/>") + run(" too", '<w:vanish w:val="0"/>'))
        + paragraph(f"a<w:sdt>{placeholder}<w:sdtContent>{run('Choose')}</w:sdtContent></w:sdt>{run('after')}")
    )
    assert text_of(markup) == "seen too\n\nafter"


def test_docx_reads_fields_signs_and_raised_numbers() -> None:
    raised = '<w:vertAlign w:val="superscript"/>'
    fields = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> HYPERLINK "x" </w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>' + run("link") + '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    signs = "<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/></w:r>"
    box = '<w:r><w:sym w:font="Wingdings" w:char="F0FE"/></w:r>'
    markup = paragraph(fields) + paragraph(signs) + paragraph(box) + paragraph(run("10") + run("6", raised))
    assert text_of(markup) == "link\n\na\tb\nc-\n\n☑\n\n10^6"


def test_docx_puts_notes_and_comments_behind_their_paragraph() -> None:
    document = docx.Document()
    first = document.add_paragraph()
    document.add_comment(first.add_run("Commented."), text="Really?", author="Bea")
    document.add_paragraph("After.")
    data = saved(document)
    relation = b'<Relationship Id="rIdN" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    notes = f"<w:footnotes {W}><w:footnote w:id='7'>{paragraph(run('See page 3.'))}</w:footnote></w:footnotes>"
    data = changed(
        data,
        {
            "word/_rels/document.xml.rels": lambda part: part.replace(
                b"</Relationships>", relation + b'footnotes" Target="footnotes.xml"/></Relationships>'
            ),
            "word/footnotes.xml": notes.encode(),
            BODY: lambda part: part.replace(b"<w:t>After.</w:t>", b'<w:t>After.</w:t><w:footnoteReference w:id="7"/>'),
        },
    )
    assert read(data, "a.docx").text == "Commented.\n\nComment (Bea): Really?\n\nAfter.[^1]\n\n[^1]: See page 3."


def test_docx_writes_headers_first_and_footers_last_each_once_without_page_numbers() -> None:
    document = docx.Document()
    document.add_paragraph("Body.")
    for section in (document.sections[0], document.add_section()):
        section.header.is_linked_to_previous = section.footer.is_linked_to_previous = False
        section.header.paragraphs[0].text = "Policy 7"
        section.footer.paragraphs[0].text = "Page "
    page = b'<w:fldSimple w:instr=" PAGE \\* MERGEFORMAT "><w:r><w:t>1</w:t></w:r></w:fldSimple></w:p>'
    data = changed(saved(document), {"word/footer1.xml": lambda part: part.replace(b"</w:p>", page)})
    assert read(data, "a.docx").text == "Policy 7\n\nBody.\n\nPage"


def cell(content: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"


def row(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def test_docx_spells_out_merged_cells() -> None:
    start, on = '<w:vMerge w:val="restart"/>', "<w:vMerge/>"
    a, b, c, d, empty = (paragraph(run(text)) for text in ("a", "b", "c", "d", ""))
    markup = (
        row(cell(a), cell(b, '<w:gridSpan w:val="2"/>'))
        + row(cell(c, start), cell(d), cell(d))
        + row(cell(empty, on), cell(a), cell(b))
        + row(cell(d), properties='<w:gridBefore w:val="2"/>')
    )
    assert text_of(f"<w:tbl>{markup}</w:tbl>") == (
        "| a | b |  |\n| --- | --- | --- |\n| c | d | d |\n| c | a | b |\n|  |  | d |"
    )


def test_docx_writes_a_table_in_a_cell_in_line_and_takes_apart_what_only_arranges() -> None:
    inner = f"<w:tbl>{row(cell(paragraph(run('x'))), cell(paragraph(run('y')))) * 2}</w:tbl>"
    a, b = paragraph(run("a")), paragraph(run("b"))
    data = f"<w:tbl>{row(cell(a), cell(b)) * 2}{row(cell(a), cell(inner + b))}</w:tbl>"
    assert text_of(data).endswith("| a | x, y; x, y b |")
    layout = f"<w:tbl>{row(cell(a), cell(inner))}</w:tbl>"
    assert text_of(layout) == "a\n\n| x | y |\n| --- | --- |\n| x | y |"
    assert text_of(f"<w:tbl>{row(cell(a)) + row(cell(b))}</w:tbl>") == "a\n\nb"


def test_docx_reads_text_boxes_once_and_pictures_by_their_description() -> None:
    compatibility = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    shape = "xmlns:wps='http://schemas.microsoft.com/office/word/2010/wordprocessingShape'"
    drawing = "xmlns:wp='http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing'"
    box = f"<w:txbxContent>{paragraph(run('In the box.'))}</w:txbxContent>"
    picture = f"<w:drawing {drawing}><wp:inline><wp:docPr id='1' name='x' descr='{{}}'/></wp:inline></w:drawing>"
    markup = paragraph(
        f"<w:r><w:t>Anchor.</w:t><mc:AlternateContent {compatibility}>"
        f"<mc:Choice Requires='wps'><w:drawing {shape}><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>"
        f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent>"
        + "".join(
            picture.format(text) for text in ("A duck", "image1.png", "", "A bird Description automatically generated")
        )
        + "</w:r>"
    )
    assert text_of(markup) == "Anchor.\n\nIn the box.\n\nPicture: A duck"


def test_docx_writes_equations_in_one_line() -> None:
    def part(tag: str, *content: str) -> str:
        return f"<m:{tag}>{''.join(content)}</m:{tag}>"

    def words(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    power = part("sSup", part("e", words("x")), part("sup", words("2")))
    fraction = part("f", part("num", words("a+b")), part("den", words("2a")))
    root = part("rad", "<m:radPr><m:degHide m:val='1'/></m:radPr>", part("deg"), part("e", words("c")))
    total = part(
        "nary", "<m:naryPr><m:chr m:val='∑'/></m:naryPr>", part("sub", words("k=0")), part("sup", words("n")),
        part("e", words("k")),
    )  # fmt: skip
    matrix = part("m", *(part("mr", part("e", words("1")), part("e", words("0"))) for _ in "ab"))
    brackets = part("d", "<m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr>", part("e", words("y")))
    function = part("func", part("fName", words("log")), part("e", words("z")))
    limit = part("limLow", part("e", words("lim")), part("lim", words("n→∞")))
    for equation, line in {
        power: "x^2",
        fraction: "(a+b)/(2a)",
        root: "√(c)",
        total: "∑_(k=0)^n k",
        matrix: "[1, 0; 1, 0]",
        brackets: "[y]",
        words("2") + function: "2 log z",
        limit: "lim_(n→∞)",
        part("acc", part("e", words("x"))): "x\u0302",
        part("eqArr", part("e", words("a")), part("e", words("b"))): "a; b",
        part("sSubSup", part("e", words("x")), part("sub", words("i")), part("sup", words("n+1"))): "x_i^(n+1)",
    }.items():
        assert text_of(paragraph(f"{run('E: ')}<m:oMath>{equation}</m:oMath>")) == f"E: {line}"
    two = f"<m:oMathPara>{part('oMath', words('a=b'))}{part('oMath', words('c=d'))}</m:oMathPara>"
    assert text_of(paragraph(two)) == "a=b\nc=d"


CHART = b"""<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"
    xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart>
    <c:title><c:tx><c:rich><a:p><a:r><a:t>Visi</a:t></a:r><a:r><a:t>tors</a:t></a:r></a:p></c:rich></c:tx></c:title>
    <c:plotArea><c:pieChart><c:ser><c:tx><c:v>2024</c:v></c:tx>
    <c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>May</c:v></c:pt><c:pt idx="1"><c:v>June</c:v></c:pt></c:strCache>
    </c:strRef></c:cat><c:val><c:numRef><c:numCache><c:pt idx="1"><c:v>4.4000000000000004</c:v></c:pt></c:numCache>
    </c:numRef></c:val></c:ser></c:pieChart></c:plotArea></c:chart></c:chartSpace>"""
DIAGRAM = b"""<d:dataModel xmlns:d="http://schemas.openxmlformats.org/drawingml/2006/diagram"
    xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><d:pt><d:t><a:p><a:r><a:t>Plan</a:t></a:r></a:p></d:t>
    </d:pt><d:pt><d:t><a:p><a:r><a:t>Do</a:t></a:r></a:p></d:t></d:pt></d:dataModel>"""


def test_docx_reads_charts_with_their_numbers_and_diagrams() -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    graphics = (
        "<c:chart xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart' r:id='rC'/>"
        "<d:relIds xmlns:d='http://schemas.openxmlformats.org/drawingml/2006/diagram' r:dm='rD'/>"
    )
    data = with_body(
        paragraph(f"<w:r><w:drawing xmlns:r='{kind}'>{graphics}</w:drawing></w:r>"),
        {"word/chart.xml": CHART, "word/data.xml": DIAGRAM},
    )
    relations = (
        f"<Relationship Id='rC' Type='{kind}/chart' Target='chart.xml'/>"
        f"<Relationship Id='rD' Type='{kind}/diagramData' Target='/word/data.xml'/></Relationships>"
    )
    data = changed(
        data,
        {"word/_rels/document.xml.rels": lambda part: part.replace(b"</Relationships>", relations.encode())},
    )
    assert read(data, "a.docx").text == (
        "Chart: Visitors\n\n|  | 2024 |\n| --- | --- |\n| May |  |\n| June | 4.4 |\n\n- Plan\n- Do"
    )


def strict(part: bytes) -> bytes:
    return re.sub(rb"http://schemas\.openxmlformats\.org/(\w+)/2006/", rb"http://purl.oclc.org/ooxml/\1/", part)


def test_docx_reads_the_strict_variant_and_files_with_missing_parts() -> None:
    document = docx.Document()
    document.add_heading("Strict", 1)
    document.add_paragraph("Text.")
    data = saved(document)
    names = (BODY, "word/styles.xml", "_rels/.rels", "word/_rels/document.xml.rels")
    assert read(changed(data, dict.fromkeys(names, strict)), "a.docx").text == "Strict\n\nText."
    dangling = b"<Relationships xmlns='x'><Relationship Id='rId1' Type='x/styles' Target='NULL'/></Relationships>"
    assert read(changed(data, {"word/_rels/document.xml.rels": dangling}), "a.docx").text == "Strict\n\nText."


def test_docx_expands_no_entities_and_opens_no_other_file() -> None:
    declared = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname"><!ENTITY f "expanded">]>'
    root = f"{declared}<w:document {W}><w:body><w:p><w:r><w:t>A&e;&f;B</w:t></w:r></w:p></w:body></w:document>"
    assert read(changed(saved(docx.Document()), {BODY: root.encode()}), "a.docx").text == "A"


def test_docx_refuses_entities_that_grow_without_bounds() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    root = f'<!DOCTYPE x [<!ENTITY e0 "ha">{entities}]><w:document {W}><w:body><w:p x="&e11;"/></w:body></w:document>'
    with pytest.raises(InputError, match=r"no valid XML .*amplification"):
        read(changed(saved(docx.Document()), {BODY: root.encode()}), "a.docx")


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "is encrypted; save it without a password"),
        (OLE, r"older format of Word, PowerPoint or Excel; name it \.doc"),
        (b"<html><body>x</body></html>", r"is a web page or other XML .*; name it \.html"),
        (b"PK\x03\x04 and then nothing", "is damaged, or of another kind than its name says"),
        (archive({"a.txt": "x"}), "no Office document: it has no main part"),
    ],
)
def test_docx_says_what_a_file_is_instead(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(data, "a.docx")


def test_docx_names_the_damaged_part_and_a_main_part_of_another_kind() -> None:
    data = saved(docx.Document())
    with pytest.raises(InputError, match=r"its part 'word/document\.xml' is no valid XML"):
        read(changed(data, {BODY: lambda part: part[:-20]}), "a.docx")
    with pytest.raises(InputError, match="no Word document: its main part is a 'presentation'"):
        read(changed(data, {BODY: b"<presentation/>"}), "a.docx")


def test_docx_says_that_a_joined_file_was_not_read() -> None:
    extracted = read(with_body(paragraph(run("a")) + "<w:altChunk/>"), "a.docx")
    assert extracted.warnings == ("holds another file that is only joined when Word opens it; that was not read.",)


def test_docx_keeps_the_indentation_of_code() -> None:
    assert text_of(paragraph(run("    return x"))) == "    return x"
