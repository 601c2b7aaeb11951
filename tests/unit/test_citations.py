"""Citations are exact slices of the sources that were given, and of nothing else."""

import pytest

from rag.citations import MarkerFilter, cite
from rag.types import Chunk, Document, Heading, Hit

LEAVE = Document(
    "people/leave.md",
    "# Leave\n\nEverybody has 25 days of annual leave. Requests go to the line manager two weeks before.\n",
    "Leave",
    headings=(Heading(0, 1, "Leave"),),
)
SAFETY = Document(
    "safety.pdf",
    "Page one.\nIn case of fire, use\nthe stairs. The muster point is the pier.",
    "Safety",
    page_starts=(0, 10),
)
DOCUMENTS = {1: LEAVE, 2: SAFETY}


def hit(row: int, start: int = 0) -> Hit:
    document = DOCUMENTS[row]
    chunk = Chunk(start, len(document.text), document.text[start:])
    return Hit(row, chunk, row, document.source, document.title, "c", 1.0, 0.5, 2.0)


HITS = [hit(1), hit(2)]


def test_cite_quotes_the_sentence_behind_a_marker() -> None:
    (citation,), _ = cite("You get 25 days of annual leave [1].", HITS, DOCUMENTS)
    assert citation.quote == "Everybody has 25 days of annual leave."
    assert LEAVE.text[citation.start : citation.end] == citation.quote
    assert (citation.number, citation.heading, citation.computed) == (1, "Leave", False)


def test_cite_gives_page_and_offsets_in_the_document_for_a_later_chunk() -> None:
    (citation,), _ = cite("Meet at the pier, the muster point [1].", [hit(2, start=10)], DOCUMENTS)
    assert citation.quote == "The muster point is the pier."
    assert SAFETY.text[citation.start : citation.end] == citation.quote
    assert citation.page == 2


def test_cite_follows_several_markers_of_one_sentence() -> None:
    citations, _ = cite("Use the stairs in a fire, and ask for leave two weeks before [2][1].", HITS, DOCUMENTS)
    assert {citation.number for citation in citations} == {1, 2}


def test_cite_puts_a_marker_behind_the_full_stop_to_the_sentence_before_it() -> None:
    citations, _ = cite(
        "Use the stairs in case of fire. [2] Requests go to the manager two weeks before. [1]", HITS, DOCUMENTS
    )
    assert [(citation.number, citation.quote[:8]) for citation in citations] == [(2, "In case "), (1, "Requests")]


def test_cite_computes_citations_when_the_model_wrote_none() -> None:
    (citation,), _ = cite("There are 25 days of annual leave.", HITS, DOCUMENTS)
    assert (citation.number, citation.computed) == (1, True)


def test_cite_quotes_a_sentence_across_lines() -> None:
    (citation,), _ = cite("Use the stairs in case of fire [2].", HITS, DOCUMENTS)
    assert citation.quote == "In case of fire, use\nthe stairs."


def test_cite_prefers_a_sentence_to_a_heading() -> None:
    (citation,), _ = cite("Leave is 25 days [1].", HITS, DOCUMENTS)
    assert citation.quote.startswith("Everybody")


def test_cite_quotes_no_heading_with_the_sentence_below_it() -> None:
    text = "1. Cameras and recordings\nRecordings of the cameras are kept for 21 days."
    document = Document("it.pdf", text, "IT", headings=(Heading(0, 1, "1. Cameras and recordings"),))
    one = Hit(1, Chunk(0, len(text), text), 1, "it.pdf", "IT", "c", 1.0, 0.5, 2.0)
    (citation,), _ = cite("The cameras' recordings are kept 21 days [1].", [one], {1: document})
    assert citation.quote == "Recordings of the cameras are kept for 21 days."


def test_cite_computes_nothing_for_an_answer_without_support() -> None:
    assert cite("Bananas are rich in potassium.", HITS, DOCUMENTS)[0] == ()


def test_cite_computes_nothing_from_a_single_shared_word() -> None:
    assert cite("The answer is leave.", HITS, DOCUMENTS)[0] == ()


def test_cite_names_each_quote_once() -> None:
    assert len(cite("25 days of annual leave [1]. So annual leave is 25 days [1].", HITS, DOCUMENTS)[0]) == 1


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["It is so [1]."], "It is so [1]."),
        (["It is so [", "2", "]."], "It is so [2]."),
        (["It is so [", "9", "]."], "It is so ."),
        (["No marker [sic] here"], "No marker [sic] here"),
        (["ends with ["], "ends with ["),
        (["[12", "3", "4]"], "[1234]"),
        (["a[3][1", "][0]b"], "a[1]b"),
    ],
)
def test_marker_filter_lets_only_given_sources_through(pieces: list[str], shown: str) -> None:
    markers = MarkerFilter(2)
    assert "".join(markers.feed(piece) for piece in pieces) + markers.close() == shown


VALUES = '{"rooms": [12], "floors": [5, [9]], "wings": ["[8]", ("[7]")], "last":\n  [44]}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (VALUES, VALUES),
        ("See [1], [9] and (so [7]).", "See [1],  and (so )."),
        ('It says "21 days" [9], then [8].', 'It says "21 days" , then .'),
        ("The rooms are: [12]", "The rooms are: [12]"),
    ],
)
def test_marker_filter_leaves_values_alone_however_the_text_is_cut(text: str, shown: str) -> None:
    for size in (1, 2, 3, 7, len(text)):
        markers = MarkerFilter(2)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(markers.feed(piece) for piece in pieces) + markers.close() == shown


def test_cite_says_what_stands_behind_each_sentence() -> None:
    answer = "Leave is 25 days. [1] Bananas are rich in potassium. Take the stairs in a fire [2]."
    citations, sentences = cite(answer, HITS, DOCUMENTS)
    said = [(answer[one.start : one.end], one.citations) for one in sentences]
    assert said == [
        ("Leave is 25 days. [1]", (0,)),
        ("Bananas are rich in potassium.", ()),
        ("Take the stairs in a fire [2].", (1,)),
    ]
    assert [citation.number for citation in citations] == [1, 2]
    assert sentences[1].support == 0
