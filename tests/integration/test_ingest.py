"""What an ingest makes of moved files, of copies, of selected files, and what is left of one that is broken off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.base import InputError
from rag.config import load
from rag.knowledge_base import KnowledgeBase
from rag.report import Report
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

TEXTS = {
    "badges.md": "# Badges\n\nA lost badge is replaced at the front desk for five pounds.\n",
    "fire.txt": "In case of fire, walk to the muster point on the pier.\n",
    "people/leave.md": "# Leave\n\nEverybody has 25 days of annual leave.\n\n## Sickness\n\nRing the duty manager.\n",
}


def write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "documents", TEXTS)


@pytest.fixture
def embedder() -> HashEmbedder:
    return HashEmbedder()


@pytest.fixture
def workspace(tmp_path: Path, embedder: HashEmbedder) -> Iterator[Workspace]:
    with Workspace(load(data_dir=tmp_path / "data", environment={}), embedder=embedder) as opened:
        yield opened


@pytest.fixture
def base(workspace: Workspace) -> KnowledgeBase:
    return workspace.collection("handbook", create=True)


@pytest.fixture
def filled(base: KnowledgeBase, folder: Path, embedder: HashEmbedder) -> KnowledgeBase:
    base.add(folder)
    embedder.embedded = 0
    return base


def sources(base: KnowledgeBase) -> list[str]:
    return [row.source for row in base.documents()]


def summary(report: Report) -> tuple[list[str], int, int, int]:
    """What was embedded, and how many were reused, unchanged and removed."""
    assert not report.errors
    assert report.done == report.found
    return [source for source, _ in report.documents], report.reused, report.unchanged, report.removed


# Moved and copied


def test_sync_takes_a_moved_file_over_without_embedding_it(
    filled: KnowledgeBase, folder: Path, embedder: HashEmbedder
) -> None:
    before = {hit.chunk for hit in filled.search("annual leave sickness", 10) if hit.source == "people/leave.md"}
    (folder / "people" / "leave.md").rename(folder / "leave.md")
    assert summary(filled.add(folder, sync=True)) == ([], 1, 2, 1)
    assert embedder.embedded == 0
    assert sources(filled) == ["badges.md", "fire.txt", "leave.md"]
    hits = [hit for hit in filled.search("annual leave sickness", 10) if hit.source == "leave.md"]
    assert {hit.chunk for hit in hits} == before
    document = filled.document(hits[0].document_id)
    assert (document.title, document.origin) == ("Leave", str(folder / "leave.md"))
    assert [heading.title for heading in document.headings] == ["Leave", "Sickness"]
    for hit in hits:
        expected = embedder.embed_query("annual leave sickness") @ embedder.embed_query(
            hit.chunk.searched_text("Leave")
        )
        assert hit.dense == pytest.approx(float(expected), abs=1e-6)


def test_add_without_sync_keeps_a_moved_file_under_both_names(filled: KnowledgeBase, folder: Path) -> None:
    (folder / "people" / "leave.md").rename(folder / "leave.md")
    assert summary(filled.add(folder)) == ([], 1, 2, 0)
    assert sources(filled) == ["badges.md", "fire.txt", "leave.md", "people/leave.md"]
    assert summary(filled.add(folder)) == ([], 0, 3, 0)


def test_renamed_file_without_a_title_of_its_own_is_found_by_its_new_name(filled: KnowledgeBase, folder: Path) -> None:
    (folder / "fire.txt").rename(folder / "evacuation.txt")
    assert summary(filled.add(folder, sync=True)) == ([], 1, 2, 1)
    (row,) = (row for row in filled.documents() if row.source == "evacuation.txt")
    assert row.title == "evacuation.txt"
    assert filled.search("evacuation", 1)[0].lexical > 0
    assert filled.search("fire.txt", 1)[0].title == "evacuation.txt"


def test_file_renamed_to_another_kind_is_read_again(filled: KnowledgeBase, folder: Path) -> None:
    (folder / "badges.md").rename(folder / "badges.txt")
    assert summary(filled.add(folder, sync=True)) == (["badges.txt"], 0, 2, 1)
    (row,) = (row for row in filled.documents() if row.source == "badges.txt")
    assert (row.media_type, row.title) == ("text/plain", "badges.txt")


def test_copies_are_all_indexed_and_embedded_once(base: KnowledgeBase, folder: Path, embedder: HashEmbedder) -> None:
    for name in ("a/fire.txt", "b/fire.txt", "b/other.txt"):
        write(folder, {name: TEXTS["fire.txt"]})
    report = base.add(folder)
    embedded, reused, _, _ = summary(report)
    assert (len(embedded), reused) == (3, 3)
    assert embedder.embedded == report.chunks
    assert {"a/fire.txt", "b/fire.txt", "b/other.txt", "fire.txt"} <= set(sources(base))
    assert {(row.source, row.title) for row in base.documents()} >= {
        ("fire.txt", "fire.txt"),
        ("b/other.txt", "other.txt"),
    }
    assert summary(base.add(folder, sync=True)) == ([], 0, 6, 0)


def test_copies_of_what_cannot_be_read_are_all_named(base: KnowledgeBase, folder: Path) -> None:
    write(folder, {"1.md": "", "2.md": "", "3.md": ""})
    report = base.add(folder)
    assert [(problem.source, problem.error) for problem in report.errors] == [
        ("1.md", "is empty."),
        ("2.md", "is empty."),
        ("3.md", "is empty."),
    ]
    assert report.done == report.found == 6


def test_copy_of_a_stored_document_replaces_what_stood_there(filled: KnowledgeBase, folder: Path) -> None:
    shutil.copy(folder / "badges.md", folder / "people" / "leave.md")
    assert summary(filled.add(folder)) == ([], 1, 2, 0)
    assert {filled.document(row.id).text for row in filled.documents()} == {TEXTS["badges.md"], TEXTS["fire.txt"]}


def test_files_that_change_places_are_reused(filled: KnowledgeBase, folder: Path, embedder: HashEmbedder) -> None:
    for name, moved in (("badges.md", "x"), ("people/leave.md", "badges.md"), ("x", "people/leave.md")):
        (folder / name).rename(folder / moved)
    assert summary(filled.add(folder, sync=True)) == ([], 2, 1, 0)
    assert embedder.embedded == 0
    texts = {row.source: filled.document(row.id).text for row in filled.documents()}
    assert texts["badges.md"] == TEXTS["people/leave.md"]
    assert texts["people/leave.md"] == TEXTS["badges.md"]


def test_large_files_that_change_places_are_never_lost(base: KnowledgeBase, folder: Path) -> None:
    texts = {f"{number}.log": f"Entry of log number {number}. " * 12_000 for number in range(4)}
    write(folder, texts)
    base.add(folder)
    for number in (3, 2, 1, 0):
        (folder / f"{number}.log").rename(folder / f"{number + 1}.log")
    write(folder, {"0.log": "A new day."})
    report = base.add(folder, sync=True)
    assert not report.errors
    stored = {row.source: base.document(row.id).text for row in base.documents(contains=".log")}
    assert stored == {"0.log": "A new day."} | {f"{number + 1}.log": texts[f"{number}.log"] for number in range(4)}


def test_moved_folder_keeps_its_documents_and_is_synced_from_where_it_is(
    filled: KnowledgeBase, folder: Path, tmp_path: Path, embedder: HashEmbedder
) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    assert summary(filled.add(moved)) == ([], 3, 0, 0)
    assert embedder.embedded == 0
    (moved / "fire.txt").unlink()
    assert summary(filled.add(moved, sync=True)) == ([], 0, 2, 1)


def test_upload_that_is_found_as_a_file_becomes_that_file(base: KnowledgeBase, folder: Path) -> None:
    base.upload("fire.txt", TEXTS["fire.txt"].encode())
    embedded, reused, _, _ = summary(base.add(folder))
    assert (len(embedded), reused) == (2, 1)
    (folder / "fire.txt").unlink()
    assert base.add(folder, sync=True).removed == 1


def test_moved_file_is_read_again_when_it_is_to_be_cut_otherwise(filled: KnowledgeBase, folder: Path) -> None:
    (folder / "fire.txt").rename(folder / "flames.txt")
    settings = filled.settings.model_copy(update={"chunk": filled.settings.chunk.model_copy(update={"size": 20})})
    everything = ["badges.md", "flames.txt", "people/leave.md"]
    assert summary(filled.with_settings(settings).add(folder, sync=True)) == (everything, 0, 0, 1)


# Selected


def test_add_takes_what_is_included_and_not_excluded(base: KnowledgeBase, folder: Path) -> None:
    write(folder, {"people/notes.md": "# Notes\n\nNotes.\n", "drafts/a.md": "# Draft\n\nDraft.\n"})
    base.add(folder, include=["*.md"], exclude=["drafts/", "/people/notes.*"])
    assert sources(base) == ["badges.md", "people/leave.md"]


def test_sync_removes_what_is_left_out_now(filled: KnowledgeBase, folder: Path) -> None:
    assert summary(filled.add(folder, exclude=["people/"])) == ([], 0, 2, 0)
    assert sources(filled) == ["badges.md", "fire.txt", "people/leave.md"]
    assert summary(filled.add(folder, exclude=["people/"], sync=True)) == ([], 0, 2, 1)
    assert sources(filled) == ["badges.md", "fire.txt"]


def test_add_refuses_a_pattern_that_means_nothing(base: KnowledgeBase, folder: Path) -> None:
    with pytest.raises(InputError, match="'!' is no pattern for files"):
        base.add(folder, exclude=["!"])
    assert sources(base) == []


# Broken off


def test_interrupted_add_keeps_what_is_stored_and_goes_on_from_there(
    base: KnowledgeBase, folder: Path, embedder: HashEmbedder
) -> None:
    write(folder, {f"{number:03}.txt": f"Text of number {number}. " * 400 for number in range(30)})
    seen: list[Report] = []

    def interrupt(report: Report) -> None:
        seen.append(report)
        if report.documents:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        base.add(folder, on_progress=interrupt)
    stored = [source for source, _ in seen[-1].documents]
    assert 0 < len(stored) < 33
    assert sources(base) == sorted(stored)
    embedder.embedded = 0
    report = base.add(folder)
    assert report.unchanged == len(stored)
    assert embedder.embedded == report.chunks
    assert len(sources(base)) == 33
