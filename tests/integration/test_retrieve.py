"""Retrieval over a real store and real indexes: what ends up in front, and what a caller may not read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.base import Message
from rag.config import load
from rag.knowledge_base import KnowledgeBase
from rag.types import Answer, Document, Filter
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator

POLICY = "Visitors sign the book at the gate and wear a yellow badge for as long as they are on the premises."


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    settings = load(data_dir=tmp_path, chunk={"size": 24}, environment={})
    with Workspace(settings, embedder=HashEmbedder(), generator=ScriptedGenerator("Three days [1].")) as opened:
        yield opened


@pytest.fixture
def base(workspace: Workspace) -> KnowledgeBase:
    return workspace.collection("c", create=True)


def add(base: KnowledgeBase, **texts: str) -> None:
    assert not base.add_documents(Document(f"{name}.txt", text, name) for name, text in texts.items()).errors


def test_search_shows_copies_once_with_every_place(base: KnowledgeBase) -> None:
    add(base, a=POLICY, b=POLICY, c=POLICY + " ", d="Badges are yellow or orange; the colour says for how long.")
    hits = base.search("What colour is a visitor's badge?", 3)
    (first,) = [hit for hit in hits if hit.source != "d.txt"]
    assert {place.source for place in first.copies} | {first.source} == {"a.txt", "b.txt", "c.txt"}
    assert len(hits) == 2
    for place in first.copies:
        assert base.document(place.document_id).text[place.start : place.end].strip() == POLICY


def test_search_joins_chunks_that_follow_each_other_to_one_exact_slice(base: KnowledgeBase) -> None:
    sentences = [f"The turnstile of gate number {n} opens with a yellow badge at any hour." for n in range(1, 7)]
    add(base, gates=" ".join(sentences), other="Nothing here is about it.")
    hits = base.search("Which gates open with a yellow badge?", 10)
    joined = next(hit for hit in hits if hit.source == "gates.txt")
    assert sum(hit.source == "gates.txt" for hit in hits) == 1
    document = base.document(joined.document_id)
    assert joined.chunk.text == document.text[joined.chunk.start : joined.chunk.end] == document.text


def test_search_counts_a_word_that_is_asked_twice_twice(base: KnowledgeBase) -> None:
    add(base, red="The red door.", blue="The blue door.")
    scores = {hit.source: hit.lexical for hit in base.search("red red or blue?", 2)}
    assert scores["red.txt"] == pytest.approx(2 * scores["blue.txt"], rel=1e-3)


def test_search_is_the_same_whether_or_not_forbidden_vectors_exist(base: KnowledgeBase) -> None:
    add(base, **{f"mine{n}": f"Gate {n} opens at {n} o'clock for holders of a yellow badge." for n in range(1, 9)})
    question = "When does gate 4 open for a yellow badge?"
    readable = np.array([document.id for document in base.documents()])
    before = base.search(question, 8)
    add(base, **{f"secret{n}": f"Gate {n} opens at night for a yellow badge, says entry {n}." for n in range(200)})
    after = base.restricted(lambda _: readable).search(question, 8)
    assert [hit.chunk_id for hit in after] == [hit.chunk_id for hit in before]
    assert [(hit.dense, hit.lexical, hit.score, hit.copies) for hit in after] == [
        (hit.dense, hit.lexical, hit.score, hit.copies) for hit in before
    ]


def test_a_follow_up_finds_what_the_conversation_is_about(base: KnowledgeBase) -> None:
    add(
        base,
        leave="On the death of a brother or a grandmother you have three days of leave.",
        gifts="A brother of a traveller may give you a gift of up to 25 pounds.",
    )
    history = [Message("user", "How many days of leave for the death of my grandmother?"), Message("assistant", "3")]
    *_, answer = base.stream("And my brother?", history=history)
    assert isinstance(answer, Answer)
    assert answer.hits[0].source == "leave.txt"


def test_a_title_that_is_the_first_line_is_searched_once(base: KnowledgeBase) -> None:
    base.add_documents([Document("a.txt", "# Badges", "Badges"), Document("b.txt", "Badges", "")])
    scores = {hit.source: hit.lexical for hit in base.rank("badges", 2)}
    assert scores["a.txt"] == scores["b.txt"] > 0


def test_filter_on_an_empty_collection_finds_nothing(base: KnowledgeBase) -> None:
    assert base.search("anything", where=Filter(source="*.md")) == []
    assert base.restricted(lambda _: np.empty(0, np.int64)).search("anything") == []
