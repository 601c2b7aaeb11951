"""Presentations: slides as pages, what stands on them, and what lies behind them."""

from __future__ import annotations

from io import BytesIO

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation as Slides
from pptx.util import Inches

from models.base import InputError
from rag.load.pptx import read
from tests.archives import archive, changed

TITLE_ONLY, TITLE_AND_CONTENT, BLANK = 5, 1, 6
BOX = (Inches(1), Inches(1), Inches(3), Inches(1))
SLIDE = "ppt/slides/slide1.xml"
DECLARED = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
)


def saved(slides: Slides) -> bytes:
    buffer = BytesIO()
    slides.save(buffer)
    return buffer.getvalue()


def with_shapes(shapes: str, attributes: str = "") -> bytes:
    """A presentation of one slide with these shapes; ``p:`` and ``a:`` are declared."""
    slides = Presentation()
    slides.slides.add_slide(slides.slide_layouts[BLANK])
    root = f"<p:sld {DECLARED} {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
    return changed(saved(slides), {SLIDE: root.encode()})


def shape(paragraphs: str, placeholder: str = "") -> str:
    kind = f'<p:ph type="{placeholder}"/>' if placeholder else ""
    return f"<p:sp><p:nvSpPr><p:nvPr>{kind}</p:nvPr></p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def line(text: str, properties: str = "<a:pPr/>") -> str:
    return f"<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>"


def text_of(shapes: str) -> str:
    return read(with_shapes(shapes), "a.pptx").text


def test_pptx_makes_pages_of_slides_with_their_titles_as_headings() -> None:
    slides = Presentation()
    slides.core_properties.author = "Ann"
    first = slides.slides.add_slide(slides.slide_layouts[TITLE_AND_CONTENT])
    first.shapes.title.text = "Badges"
    frame = first.placeholders[1].text_frame
    frame.text = "Ask at the desk"
    nested = frame.add_paragraph()
    nested.text, nested.level = "or call", 1
    first.notes_slide.notes_text_frame.text = "Mention the fee."
    second = slides.slides.add_slide(slides.slide_layouts[BLANK])
    second.shapes.add_textbox(*BOX).text_frame.text = "No title here."
    slides.slides.add_slide(slides.slide_layouts[BLANK])
    third = slides.slides.add_slide(slides.slide_layouts[TITLE_ONLY])
    third.shapes.title.text = "The end"
    extracted = read(saved(slides), "a.pptx")
    assert extracted.text == (
        "Badges\n\n- Ask at the desk\n  - or call\n\nNotes: Mention the fee.\n\nSlide 2\n\nNo title here.\n\nThe end"
    )
    starts = [extracted.text.index(words) for words in ("Badges", "Slide 2", "The end", "The end")]
    assert list(extracted.page_starts) == starts
    assert [(heading.level, heading.title) for heading in extracted.headings] == [
        (1, "Badges"),
        (1, "Slide 2"),
        (1, "The end"),
    ]
    assert (extracted.title, extracted.metadata["author"]) == ("Badges", "Ann")


def test_pptx_takes_no_slide_number_for_its_title() -> None:
    assert read(with_shapes(shape(line("words"))), "a.pptx").title == ""


def test_pptx_reads_tables_with_merged_cells_charts_and_groups() -> None:
    slides = Presentation()
    page = slides.slides.add_slide(slides.slide_layouts[BLANK])
    table = page.shapes.add_table(3, 2, *BOX).table
    for place, text in {(0, 0): "Floor", (0, 1): "Room", (1, 0): "1", (1, 1): "A", (2, 1): "B"}.items():
        table.cell(*place).text = text
    table.cell(1, 0).merge(table.cell(2, 0))
    data = CategoryChartData()
    data.categories = ["May", "June"]
    data.add_series("Visitors", (10, 12.5))
    chart = page.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, *BOX, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Traffic"
    group = page.shapes.add_group_shape()
    group.shapes.add_textbox(*BOX).text_frame.text = "In a group"
    assert read(saved(slides), "a.pptx").text == (
        "Slide 1\n\n| Floor | Room |\n| --- | --- |\n| 1 | A |\n| 1 | B |\n\n"
        "Chart: Traffic\n\n|  | Visitors |\n| --- | --- |\n| May | 10 |\n| June | 12.5 |\n\nIn a group"
    )


def test_pptx_writes_bullets_and_numbers_as_items() -> None:
    number = '<a:pPr lvl="{}"><a:buAutoNum type="{}" startAt="{}"/></a:pPr>'
    paragraphs = (
        line("plain", "<a:pPr><a:buNone/></a:pPr>")
        + line("two", number.format(0, "arabicPeriod", 2))
        + line("b", number.format(1, "alphaLcParenR", 1).replace(' startAt="1"', ""))
        + line("three", number.format(0, "arabicPeriod", 2))
        + line("four", number.format(0, "romanUcParenBoth", 4))
        + line("dot", '<a:pPr><a:buChar char="•"/></a:pPr>')
    )
    assert text_of(shape(paragraphs)) == "Slide 1\n\nplain\n\n2. two\n  a) b\n3. three\n(IV) four\n- dot"


def test_pptx_leaves_numbers_and_dates_at_the_margin_out_and_writes_a_footer_once() -> None:
    shapes = "".join(shape(line(kind), kind) for kind in ("sldNum", "dt", "ftr", "ftr")) + shape(line("text"))
    assert text_of(shapes) == "Slide 1\n\nftr\n\ntext"


def test_pptx_reads_alternatives_once_raised_numbers_and_descriptions() -> None:
    alternatives = (
        "<mc:AlternateContent xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
        f"<mc:Choice>{shape(line('new'))}</mc:Choice><mc:Fallback>{shape(line('old'))}</mc:Fallback></mc:AlternateContent>"
    )
    raised = shape(
        "<a:p><a:r><a:t>m</a:t></a:r><a:r><a:rPr baseline='30000'/><a:t>2</a:t></a:r><a:br/>"
        "<a:r><a:rPr baseline='-25000'/><a:t>2</a:t></a:r></a:p>"
    )
    picture = "<p:pic><p:nvPicPr><p:cNvPr id='1' name='x' descr='A map'/><p:nvPr/></p:nvPicPr></p:pic>"
    assert text_of(alternatives + raised + picture) == "Slide 1\n\nnew\n\nm^2\n2\n\nPicture: A map"


def test_pptx_reads_hidden_slides_and_says_so() -> None:
    extracted = read(with_shapes(shape(line("hidden")), 'show="0"'), "a.pptx")
    assert extracted.text == "Slide 1\n\nhidden"
    assert extracted.warnings == ("has hidden slides, which were read too: 1.",)


def test_pptx_reads_comments_with_their_authors() -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    newer = "http://schemas.microsoft.com/office/2018/10/relationships"
    relation = "<Relationship Id='{}' Type='{}' Target='{}'/>"

    def related(*relations: str) -> bytes:
        return f"<Relationships>{''.join(relations)}</Relationships>".encode()

    members = {
        "_rels/.rels": related(relation.format("a", f"{kind}/officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {DECLARED} xmlns:r='{kind}'><p:sldIdLst><p:sldId r:id='s'/>"
        "<p:sldId r:id='gone'/></p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": related(
            relation.format("s", f"{kind}/slide", "slide.xml"),
            relation.format("w", f"{kind}/commentAuthors", "old.xml"),
            relation.format("v", f"{newer}/authors", "new.xml"),
        ),
        "ppt/old.xml": f"<p:cmAuthorLst {DECLARED}><p:cmAuthor id='0' name='Bea'/></p:cmAuthorLst>",
        "ppt/new.xml": "<authorLst><author id='{1}' name='Cy'/></authorLst>",
        "ppt/slide.xml": f"<p:sld {DECLARED}><p:cSld><p:spTree>{shape(line('x'))}</p:spTree></p:cSld></p:sld>",
        "ppt/_rels/slide.xml.rels": related(
            relation.format("c", f"{kind}/comments", "c1.xml"), relation.format("d", f"{newer}/comments", "c2.xml")
        ),
        "ppt/c1.xml": f"<p:cmLst {DECLARED}><p:cm authorId='0'><p:text>Old one</p:text></p:cm></p:cmLst>",
        "ppt/c2.xml": f"<cmLst {DECLARED}><cm authorId='{{1}}'><replyLst><reply authorId='?'><txBody>{line('Reply')}"
        f"</txBody></reply></replyLst><txBody>{line('New one')}</txBody></cm></cmLst>",
    }
    assert read(archive(members), "a.pptx").text == (
        "Slide 1\n\nx\n\nComment (Bea): Old one\n\nComment (Cy): New one\n\nComment: Reply"
    )


def test_pptx_says_what_a_file_is_instead() -> None:
    with pytest.raises(InputError, match="no presentation: its main part is a 'document'"):
        read(changed(with_shapes(""), {"ppt/presentation.xml": b"<document/>"}), "a.pptx")
    with pytest.raises(InputError, match="is damaged, or of another kind"):
        read(with_shapes("")[:-100], "a.pptx")
