"""From ranked chunks to passages: copies collapsed, neighbours joined."""

from rag.merge import collapse, join
from rag.types import Chunk, Hit

TEXT = "Badges are reset at the front desk on weekdays.\n\nBring an identity card with you.\n\nIt takes ten minutes."


def hit(row, text, *, document=1, start=0, headings=(), score=1.0):
    chunk = Chunk(start, start + len(text), text, headings)
    return Hit(row, chunk, document, f"{document}.md", "Title", "c", score, score, 0.0)


def parts(headings=((), (), ())):
    pieces = TEXT.split("\n\n")
    return [
        hit(row, piece, start=TEXT.index(piece), headings=path)
        for row, (piece, path) in enumerate(zip(pieces, headings, strict=True), 10)
    ]


def read(document, start, end):
    assert document == 1
    return TEXT[start:end]


def test_collapse_adds_a_copy_as_a_further_place_of_the_better_hit():
    policy = "Every visitor signs the book at the gate and wears a yellow badge at all times while on the premises."
    found = collapse([hit(1, policy), hit(2, policy.upper() + " ", document=2), hit(3, "Something else.")], 3)
    assert [item.chunk_id for item in found] == [1, 3]
    assert [place.source for place in found[0].copies] == ["2.md"]


def test_collapse_keeps_passages_that_share_less_than_four_fifths_of_their_runs():
    words = [f"word{i}" for i in range(40)]
    assert len(collapse([hit(1, " ".join(words)), hit(2, " ".join(words[:30] + ["other"] * 10))], 2)) == 2


def test_collapse_compares_texts_of_fewer_than_five_words_whole():
    found = collapse([hit(1, "Room 12"), hit(2, "room 12.", document=2), hit(3, "Room 13")], 3)
    assert [item.chunk_id for item in found] == [1, 3]


def test_collapse_reads_no_further_than_needed():
    taken = []

    def hits():
        for row in range(100):
            taken.append(row)
            yield hit(row, f"passage number {row} of a hundred")

    assert len(collapse(hits(), 3)) == 3
    assert len(taken) == 4


def test_collapse_fills_the_places_of_copies():
    hits = [hit(row, "the same words in every folder of the house", document=row) for row in range(5)]
    found = collapse([*hits, hit(9, "other words")], 2)
    assert [item.chunk_id for item in found] == [0, 9]
    assert len(found[0].copies) == 4


def test_join_makes_one_slice_of_chunks_that_follow_each_other():
    first, second, third = parts()
    (joined,) = join([second, third, first], read)
    assert joined.chunk_id == second.chunk_id
    assert joined.chunk.text == TEXT
    assert (joined.chunk.start, joined.chunk.end) == (0, len(TEXT))


def test_join_leaves_a_gap_open():
    first, _, third = parts()
    assert join([third, first], read) == [third, first]


def test_join_does_not_reach_over_a_heading():
    first, second, third = parts(headings=(("Badges",), ("Badges",), ("Times",)))
    found = join([third, first, second], read)
    assert [item.chunk.headings for item in found] == [("Times",), ("Badges",)]
    assert found[1].chunk.text == TEXT[: second.chunk.end]


def test_join_does_not_reach_into_another_document():
    assert len(join([hit(1, "the end", document=1), hit(2, "the beginning", document=2)], read)) == 2


def test_join_keeps_the_places_of_copies():
    first, second, _ = parts()
    kept = collapse([first, second, hit(30, first.chunk.text, document=7)], 2)
    (joined,) = join(kept, read)
    assert [place.source for place in joined.copies] == ["7.md"]
