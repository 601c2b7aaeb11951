"""Whatever the text: chunks quote it, keep its order, lose nothing, and repeat only headers that stand above them."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunk import split
from rag.load.tables import markdown_table
from rag.types import Chunk, Document, Heading
from tests.fakes import HashEmbedder

token_starts = HashEmbedder().token_starts

media_types = st.sampled_from(["text/plain", "text/x-rst", "text/x-python"])
texts = st.text(alphabet=st.sampled_from("ab .\n!?。é漢🙂#|\t-`:"), max_size=400)
lines = st.sampled_from(
    [
        "",
        "a b c.",
        "| a | b |",
        "| - | - |",
        "|---|",
        "| 1 | 2 |",
        "```",
        "~~~",
        "x::",
        "   y",
        ".. _t:",
        ".. m:: f()",
        "T",
        "=",
    ]
)
cells = st.text(alphabet=st.sampled_from("ab |\\.é"), max_size=12)
tables = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), min_size=2, max_size=40)
)


def check(document: Document, size: int, extra: int) -> list[Chunk]:
    text = document.text
    chunks = split(document, token_starts, size=size, limit=size + extra)
    overlapping = split(document, token_starts, size=size, limit=size + extra, overlap=size // 3)
    for some in (chunks, overlapping):
        check_slices(text, some, size)
    assert all(one.end <= other.start for one, other in pairwise(chunks))
    assert all(one.start < other.start and one.end < other.end for one, other in pairwise(overlapping))
    return chunks


def check_slices(text: str, chunks: list[Chunk], size: int) -> None:
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    covered = {position for chunk in chunks for position in range(chunk.start, chunk.end)}
    assert all(position in covered for position, character in enumerate(text) if not character.isspace())
    assert all(len(token_starts(chunk.read_text)) <= size for chunk in chunks)
    assert all(len(token_starts(chunk.table_header)) <= size // 2 for chunk in chunks)
    assert all(text.find(chunk.table_header, 0, chunk.start) >= 0 for chunk in chunks if chunk.table_header)


@settings(deadline=None, max_examples=400)
@given(
    text=st.one_of(texts, st.lists(lines, max_size=40).map("\n".join)),
    size=st.integers(1, 40),
    extra=st.integers(1, 30),
    media_type=media_types,
    data=st.data(),
)
def test_chunks_quote_and_cover_the_document(
    text: str, size: int, extra: int, media_type: str, data: st.DataObject
) -> None:
    starts = sorted(data.draw(st.sets(st.integers(0, max(0, len(text) - 1)), max_size=4)))
    headings = tuple(Heading(start, 1 + start % 3, f"h{start}") for start in starts)
    check(Document("a.txt", text, "title", media_type, headings), size, extra)


@settings(deadline=None, max_examples=200)
@given(rows=tables, before=st.sampled_from(["", "Caption.\n\n", "Caption\n"]), size=st.integers(20, 60))
def test_every_chunk_from_the_body_of_a_table_has_its_header(rows: list[list[str]], before: str, size: int) -> None:
    written = markdown_table(rows)
    text = f"{before}{written}\n\nWhat stands below."
    header = "\n".join(written.split("\n")[:2])
    body = len(before) + len(header) + 1
    worth_it = len(token_starts(header)) <= size // 2 and any(map(str.isalnum, header))
    for chunk in check(Document("a.md", text, ""), size, 30):
        if body <= chunk.start < len(before) + len(written) and worth_it:
            assert chunk.table_header == header
        elif not body <= chunk.start < len(before) + len(written):
            assert chunk.table_header == ""
