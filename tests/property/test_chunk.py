"""Whatever the text: chunks quote it, keep its order, and lose nothing."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rag.chunk import split
from rag.types import Document, Heading
from tests.fakes import HashEmbedder

token_starts = HashEmbedder().token_starts

texts = st.text(alphabet=st.sampled_from("ab .\n!?。é漢🙂#|\t"), max_size=400)


@settings(deadline=None, max_examples=300)
@given(text=texts, size=st.integers(1, 40), extra=st.integers(1, 30), data=st.data())
def test_chunks_quote_and_cover_the_document(text: str, size: int, extra: int, data: st.DataObject) -> None:
    starts = sorted(data.draw(st.sets(st.integers(0, max(0, len(text) - 1)), max_size=4)))
    headings = tuple(Heading(start, 1 + start % 3, f"h{start}") for start in starts)
    document = Document("a.txt", text, "title", headings=headings)
    chunks = split(document, token_starts, size=size, limit=size + extra)
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert all(one.end <= other.start for one, other in pairwise(chunks))
    covered = {position for chunk in chunks for position in range(chunk.start, chunk.end)}
    assert all(position in covered for position, character in enumerate(text) if not character.isspace())
    assert all(len(token_starts(chunk.text)) <= size for chunk in chunks)
