"""Chunks follow the document's structure and keep to the embedder's limit."""

from rag.chunk import split
from rag.types import Document, Heading
from tests.fakes import HashEmbedder

token_starts = HashEmbedder().token_starts


def count(text: str) -> int:
    return len(token_starts(text))


def test_split_keeps_a_short_document_whole() -> None:
    document = Document("a.txt", "One sentence. Another one.", "a")
    (chunk,) = split(document, token_starts, size=50, limit=60)
    assert chunk.text == document.text


def test_split_gives_nothing_for_white_space() -> None:
    assert split(Document("a.txt", " \n\n \t", "a"), token_starts, size=50, limit=60) == []


def test_split_cuts_between_paragraphs_before_it_cuts_inside_one() -> None:
    paragraphs = ["word " * 20 + str(number) for number in range(6)]
    document = Document("a.txt", "\n\n".join(paragraphs), "a")
    chunks = split(document, token_starts, size=45, limit=60)
    assert [chunk.text.count("\n\n") for chunk in chunks] == [1, 1, 1]
    assert all(chunk.text.split("\n\n")[0] in paragraphs for chunk in chunks)


def test_split_cuts_a_long_paragraph_between_sentences() -> None:
    text = " ".join(f"This is sentence number {number} of the paragraph." for number in range(30))
    chunks = split(Document("a.txt", text, "a"), token_starts, size=40, limit=60)
    assert len(chunks) > 1
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_split_cuts_a_text_without_any_boundary_into_runs_of_tokens() -> None:
    chunks = split(Document("a.txt", "word " * 500, "a"), token_starts, size=40, limit=60)
    assert max(count(chunk.text) for chunk in chunks) <= 40
    assert sum(count(chunk.text) for chunk in chunks) == 500


def test_split_packs_chunks_of_even_length() -> None:
    text = "\n\n".join("Ten words stand in this very paragraph, count them." for _ in range(10))
    sizes = [count(chunk.text) for chunk in split(Document("a.txt", text, "a"), token_starts, size=100, limit=200)]
    assert max(sizes) - min(sizes) <= count("Ten words stand in this very paragraph, count them.")


def test_split_makes_room_for_title_and_headings() -> None:
    title = "A title that has quite a number of words in it"
    document = Document("a.txt", "word " * 300, title)
    chunks = split(document, token_starts, size=50, limit=50)
    assert max(count(chunk.searched_text(title)) for chunk in chunks) <= 50


def test_split_gives_each_section_its_heading_path_and_page() -> None:
    body = "Some words of this section that are long enough to stand on their own. " * 5
    text = f"# Leave\n\n{body}\n\n## Annual leave\n\n{body}"
    second = text.index("## Annual")
    document = Document(
        "a.md",
        text,
        "Handbook",
        headings=(Heading(0, 1, "Leave"), Heading(second, 2, "Annual leave")),
        page_starts=(0, second - 5),
    )
    chunks = split(document, token_starts, size=100, limit=200)
    assert [(chunk.headings, chunk.page) for chunk in chunks] == [(("Leave",), 1), (("Leave", "Annual leave"), 2)]


def test_split_joins_a_heading_without_text_with_what_follows() -> None:
    text = "# Leave\n\n## Annual leave\n\n" + "Everybody has some days. " * 10
    headings = (Heading(0, 1, "Leave"), Heading(text.index("## "), 2, "Annual leave"))
    (chunk,) = split(Document("a.md", text, "a", headings=headings), token_starts, size=100, limit=200)
    assert chunk.text.startswith("# Leave")


def test_searched_text_names_the_innermost_headings_of_a_long_path() -> None:
    document = Document("a.md", "text", "T", headings=tuple(Heading(0, level, "h" * 60) for level in (1, 2, 3, 4)))
    (chunk,) = split(document, token_starts, size=100, limit=200)
    prefix = chunk.searched_text("T").split("\n")[0]
    assert len(prefix) <= 160
    assert prefix.endswith("h" * 60)
