"""A row deep in a long table is found, read and quoted with the names of its columns."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag.api.search import hit_object
from rag.config import load
from rag.knowledge_base import KnowledgeBase
from rag.load.tables import markdown_table
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator

HEADER = "| Valve | Pressure in kilopascal | Supplier |\n| --- | --- | --- |"
ROW = "| V217 | 1617 | Acme 7 |"
QUESTION = "Which pressure in kilopascal does valve V217 bear?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [[f"V{number}", str(1400 + number), f"Acme {number % 10}"] for number in range(400)]
    valves = markdown_table([["Valve", "Pressure in kilopascal", "Supplier"], *rows])
    people = markdown_table([["Name", "Room"], *([f"Person {number}", f"R{number}"] for number in range(100))])
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "stock.md").write_text(f"# Stock\n\nWhat lies in the store.\n\n{valves}\n\n## Staff\n\n{people}\n")
    return folder


@pytest.fixture
def generator() -> ScriptedGenerator:
    return ScriptedGenerator(["Valve V217 bears 1617 kilopascal [1]."])


@pytest.fixture
def base(tmp_path: Path, folder: Path, generator: ScriptedGenerator) -> Iterator[KnowledgeBase]:
    settings = load(data_dir=tmp_path / "data", environment={})
    with Workspace(settings, embedder=HashEmbedder(), generator=generator) as workspace:
        made = workspace.collection("stock", create=True)
        made.add(folder)
        yield made


def test_search_finds_a_row_with_the_header_of_its_table(base: KnowledgeBase) -> None:
    hit = base.search(QUESTION, 1)[0]
    assert ROW in hit.chunk.text
    assert hit.chunk.table_header == HEADER
    assert HEADER not in hit.chunk.text
    shown = hit_object(hit)
    assert (shown["text"], shown["table_header"]) == (hit.chunk.text, HEADER)


def test_search_finds_rows_by_the_words_of_their_header(base: KnowledgeBase) -> None:
    found = base.rank("kilopascal", 100)
    rows = [hit for hit in found if hit.chunk.text.startswith("| V")]
    assert len(rows) > 10
    assert all(hit.lexical > 0 for hit in rows)
    assert not any(hit.lexical for hit in found if "Person" in hit.chunk.text)


def test_ask_shows_the_header_above_the_rows_and_quotes_the_row_alone(
    base: KnowledgeBase, generator: ScriptedGenerator
) -> None:
    answer = base.ask(QUESTION)
    prompt = generator.asked[-1].messages[-1].content
    assert f"[1] Stock\n{HEADER}\n| V" in prompt
    assert ROW in prompt
    (citation,) = answer.citations
    assert citation.quote == ROW
    assert base.document(citation.document_id).text[citation.start : citation.end] == ROW


def test_header_is_found_again_after_reopening(tmp_path: Path, folder: Path) -> None:
    settings = load(data_dir=tmp_path / "again", environment={})
    with Workspace(settings, embedder=HashEmbedder()) as workspace:
        workspace.collection("stock", create=True).add(folder)
    with Workspace(settings, embedder=HashEmbedder()) as workspace:
        assert workspace.collection("stock").search(QUESTION, 1)[0].chunk.table_header == HEADER
