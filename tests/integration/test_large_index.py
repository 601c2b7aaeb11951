"""A large collection is searched approximately, but scored exactly, and its indexes are built again beside the old."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.base import StoreError, Vectors
from rag.index import CollectionIndex
from rag.index.allowed import Allowed
from rag.index.dense import FLAT_LIMIT, DenseIndex
from rag.index.files import IndexFiles
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Ids, Prepared
from rag.types import Chunk, Document
from tests.fakes import HashEmbedder

CLUSTERS = 200


def clustered(rows: int, dim: int = 32) -> Vectors:
    """Return vectors around 200 centres; the first row's centre is the first, and so on in turn."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(CLUSTERS, dim))
    vectors = centres[np.arange(rows) % CLUSTERS] + 0.6 * rng.normal(size=(rows, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def large() -> tuple[DenseIndex, Vectors]:
    vectors = clustered(FLAT_LIMIT + 5_000)
    return DenseIndex.build(32, lambda rows: vectors[rows - 1], np.arange(1, len(vectors) + 1)), vectors


def recall(index: DenseIndex, vectors: Vectors, queries: Vectors, allowed: np.ndarray) -> float:
    agree = total = 0
    for query in queries:
        found, scores = index.search(query, 10, None if allowed.all() else Allowed(np.concatenate([[False], allowed])))
        exact = np.argsort(-np.where(allowed, vectors @ query, -9))[: min(10, allowed.sum())] + 1
        agree += len(np.intersect1d(found, exact))
        total += len(exact)
        assert np.all(np.diff(scores) <= 0)
    return agree / total


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01, 0.0002])
def test_approximate_index_finds_what_the_exact_search_finds(large: tuple[DenseIndex, Vectors], share: float) -> None:
    allowed = np.random.default_rng(3).random(len(large[1])) < share
    assert recall(*large, clustered(FLAT_LIMIT)[:50], allowed) >= 0.97


def test_approximate_index_finds_permitted_rows_that_lie_far_from_the_question(
    large: tuple[DenseIndex, Vectors],
) -> None:
    index, vectors = large
    for query in vectors[:5]:
        far = np.argsort(vectors[:CLUSTERS] @ query)[: CLUSTERS // 10]
        allowed = np.isin(np.arange(len(vectors)) % CLUSTERS, far)
        assert recall(index, vectors, query[np.newaxis], allowed) >= 0.9


def test_approximate_index_returns_exact_cosines(large: tuple[DenseIndex, Vectors]) -> None:
    index, vectors = large
    query = clustered(3)[2]
    rows, cosines = index.search(query, 100, None)
    assert len(rows) == 100
    assert np.array_equal(cosines, vectors[rows - 1] @ query)


def test_approximate_index_takes_rows_in_that_came_later(large: tuple[DenseIndex, Vectors], tmp_path: Path) -> None:
    index, vectors = large
    newer = np.vstack([vectors, -vectors[:1]])
    again = DenseIndex.load(tmp_path, lambda rows: newer[rows - 1], index.through, index.save(tmp_path))
    again.add(np.array([len(newer)]))
    assert again.search(-vectors[0], 1, None)[0].tolist() == [len(newer)]
    assert again.through == len(newer) == index.through + 1


def test_approximate_index_records_its_recall_and_survives_saving(
    large: tuple[DenseIndex, Vectors], tmp_path: Path
) -> None:
    index, vectors = large
    detail = index.save(tmp_path)
    assert detail["recall@10"] >= 0.99
    assert detail["lists"] == 1024
    assert (tmp_path / "vectors.faiss").stat().st_size < vectors.nbytes / 2
    again = DenseIndex.load(tmp_path, lambda rows: vectors[rows - 1], index.through, detail)
    assert np.array_equal(again.search(vectors[0], 10, None)[0], index.search(vectors[0], 10, None)[0])


def test_dense_index_asks_to_be_rebuilt_when_it_has_outgrown_its_kind() -> None:
    vectors = clustered(10)
    index = DenseIndex(32, lambda rows: vectors[rows])
    index.add(np.arange(10))
    assert not index.outgrown_by(FLAT_LIMIT - 10)
    assert index.outgrown_by(FLAT_LIMIT)


EMBEDDER = HashEmbedder()
SMALL = 200
"""What counts as large in the tests below."""


class Library:
    """A collection that is large from 200 documents on, and the moment at which its indexes may be built again."""

    def __init__(self, directory: Path) -> None:
        self.store = Store(directory)
        identity = EmbedderIdentity(EMBEDDER.name, EMBEDDER.weights_hash, EMBEDDER.dim)
        self.info: CollectionInfo = self.store.documents.create_collection("c", identity)
        self.files = IndexFiles(directory / "indexes")
        self.may_build = threading.Event()
        self.may_build.set()
        self.building = threading.Event()
        self.read = self.store.passages.vectors

    def index(self) -> CollectionIndex:
        return CollectionIndex(self.store, self.info, self.files)

    def put(self, *texts: str) -> list[int]:
        batch = [
            Prepared(Document(text, text, ""), [Chunk(0, len(text), text)], EMBEDDER.embed([text])) for text in texts
        ]
        return self.store.documents.put(self.info.id, batch, "")

    def vectors(self, rows: Ids, dim: int) -> Vectors:
        """Stand in front of the store, and let the thread that builds wait."""
        if threading.current_thread().name == "rebuild":
            self.building.set()
            assert self.may_build.wait(60)
        return self.read(rows, dim)

    def documents(self, rows: Ids) -> list[int]:
        roster = self.store.passages.roster(self.info.id)
        return [int(document) for document in roster.documents[np.searchsorted(roster.chunks, rows)]]

    def found(self, index: CollectionIndex, text: str) -> list[int]:
        now = index.current()
        return self.documents(now.nearest(EMBEDDER.embed_query(text), 1, now.allowed(None))[0])


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    made = Library(tmp_path)
    monkeypatch.setattr("rag.index.collection.FLAT_LIMIT", SMALL)
    monkeypatch.setattr("rag.index.dense.FLAT_LIMIT", SMALL)
    monkeypatch.setattr("rag.index.collection.SAVE_AFTER_ROWS", 1)
    monkeypatch.setattr(made.store.passages, "vectors", made.vectors)
    made.put(*(f"Passage {number} is about subject{number}." for number in range(SMALL - 1)))
    yield made
    made.may_build.set()
    made.store.close()


def grow(library: Library, index: CollectionIndex) -> list[int]:
    """Make the collection a large one, with its new index held up."""
    library.may_build.clear()
    rows = library.put(*(f"Later passage {number} about topic{number}." for number in range(20)))
    index.current()
    assert library.building.wait(60)
    return rows


def test_large_index_is_built_beside_the_one_that_serves(library: Library) -> None:
    index = library.index()
    rows = grow(library, index)
    serving = index.current().dense
    assert library.found(index, "topic3 about passage") == [rows[3]]
    (newest,) = library.put("The canteen serves soup on Fridays.")
    assert library.found(index, "canteen soup") == [newest]
    library.store.documents.delete_documents(library.info.id, [rows[3]])
    assert library.found(index, "topic3 about passage") != [rows[3]]
    assert index.current().dense is serving
    library.may_build.set()
    index.close()
    assert index.current().dense is not serving
    assert library.found(index, "canteen soup") == [newest]
    for opened in (index, library.index()):
        now = opened.current()
        everything, _ = now.nearest(EMBEDDER.embed_query("passage"), 10 * SMALL, now.allowed(None))
        assert sorted(everything.tolist()) == library.store.passages.roster(library.info.id).chunks.tolist()
        assert now.dense.save(library.files.new("dense", 99))["lists"] > 0


def test_large_index_that_cannot_be_built_leaves_the_old_one_serving(
    library: Library, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = library.index()
    rows = grow(library, index)

    def full(directory: Path, sealed: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(library.files, "seal", full)
    with caplog.at_level(logging.WARNING, "rag.index"):
        library.may_build.set()
        with pytest.raises(StoreError, match="No space left"):
            index.close()
    assert "No space left" in caplog.text
    assert library.found(index, "topic3 about passage") == [rows[3]]


def test_large_lexical_index_is_built_again_beside_the_one_that_serves(library: Library) -> None:
    index = library.index()
    grow(library, index)
    library.may_build.set()
    index.close()
    library.put(*(f"Text {number} of many." for number in range(2 * SMALL)))
    index.close()
    serving = index.current().lexical
    gone = [row.id for row in library.store.documents.documents(library.info.id, limit=1_000)][:SMALL]
    library.store.documents.delete_documents(library.info.id, gone)
    index.close()
    now = index.current()
    assert now.lexical.directory != serving.directory
    assert (now.lexical.dead, len(serving)) == (0, len(now.lexical) + len(gone))
    assert now.lexical.rows().tolist() == now.roster.chunks.tolist()
    assert library.index().current().lexical.directory == now.lexical.directory


def test_large_collection_opens_from_its_files_without_building(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    index = library.index()
    grow(library, index)
    library.may_build.set()
    index.close()
    with caplog.at_level(logging.INFO, "rag.index"):
        library.index()
    assert caplog.text == ""
