"""
The write half: files -> documents -> chunks -> vectors -> store; also the command ``python -m rag.ingest``.

A file whose bytes and recipe are unchanged costs one hash. The others are parsed ahead in a child process, embedded in
large batches, and stored in transactions of whole documents: what is reported as indexed is on disk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from models.base import Embedder, InputError
from rag.chunk import split
from rag.load import Parser, find_files
from rag.store import Store
from rag.store.records import CollectionInfo, Prepared
from rag.types import Chunk, Document

logger = logging.getLogger(__name__)

BATCH_CHUNKS = 512
"""Chunks embedded together; sorted by length inside, so that little is padded."""

RECIPE_FORMAT = 1
"""Raise it when chunks or what is embedded of them change, so that stored documents are cut again."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be indexed, or was indexed with a reservation."""

    source: str
    error: str


@dataclass(slots=True)
class Report:
    """
    What an ingest did; grows while it runs.

    Attributes:
        documents: source and number of chunks of each document stored.
        unchanged: files that were indexed already.
        removed: documents taken out because their file is gone.
        errors: files that were not indexed, with the reason.
        warnings: files that were indexed in part.
        seconds: wall time.
    """

    documents: list[tuple[str, int]] = field(default_factory=list)
    unchanged: int = 0
    removed: int = 0
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def chunks(self) -> int:
        """Chunks stored."""
        return sum(count for _, count in self.documents)


OnProgress = Callable[[Report], None]


def recipe(size: int) -> str:
    """Name how documents are cut; a stored document of another recipe is cut again."""
    return f"{RECIPE_FORMAT}:{size}"


class Writer:
    """
    Cuts, embeds and stores documents of one collection, many at a time.

    Args:
        store: where to.
        collection: the collection.
        embedder: makes the vectors; called once a batch.
        size: most tokens of a chunk.
        report: where each stored document is noted.
    """

    def __init__(self, store: Store, collection: CollectionInfo, embedder: Embedder, size: int, report: Report) -> None:
        self._store = store
        self._collection = collection
        self._embedder = embedder
        self._size = size
        self._report = report
        self._waiting: list[tuple[Document, list[Chunk]]] = []
        self._waiting_chunks = 0

    def write(self, document: Document) -> None:
        """Take a document; it is stored by now or at one of the next calls."""
        limit = self._embedder.max_tokens
        chunks = split(document, self._embedder.token_starts, size=min(self._size, limit), limit=limit)
        if not chunks:
            self._report.errors.append(Problem(document.source, "holds no text."))
            return
        self._waiting.append((document, chunks))
        self._waiting_chunks += len(chunks)
        if self._waiting_chunks >= BATCH_CHUNKS:
            self.flush()

    def flush(self) -> None:
        """Embed and store whatever waits; on disk when this returns."""
        if not self._waiting:
            return
        texts = [chunk.searched_text(document.title) for document, chunks in self._waiting for chunk in chunks]
        vectors = self._embedder.embed(texts)
        batch, begin = [], 0
        for document, chunks in self._waiting:
            batch.append(Prepared(document, chunks, vectors[begin : begin + len(chunks)]))
            begin += len(chunks)
        self._store.documents.put(self._collection.id, batch, recipe(self._size))
        self._report.documents += [(document.source, len(chunks)) for document, chunks in self._waiting]
        self._waiting.clear()
        self._waiting_chunks = 0


def ingest_documents(documents: Iterable[Document], writer: Writer) -> None:
    """Store documents that are text already."""
    for document in documents:
        writer.write(document)
    writer.flush()


def ingest_files(
    roots: Iterable[Path],
    *,
    store: Store,
    collection: CollectionInfo,
    embedder: Callable[[], Embedder],
    size: int,
    sync: bool = False,
    on_progress: OnProgress = lambda report: None,
) -> Report:
    """
    Bring files and folders into a collection; unchanged files cost nothing but their hash.

    Args:
        roots: files and folders.
        store: where to.
        collection: the collection.
        embedder: gives the embedder; not called when nothing changed, so that no model is loaded.
        size: most tokens of a chunk.
        sync: also remove documents whose file is not below ``roots`` any more.
        on_progress: called with the growing report after each file.

    Returns:
        The report. Files that could not be read are in ``errors``; all others are on disk.

    Raises:
        InputError: a root does not exist.
        StoreError: nothing more can be written, for example because the disk is full.
    """
    started = time.perf_counter()
    report = Report()
    seen: dict[str, Path] = {}
    changed = _changed(find_files(list(roots)), store, collection, size, report, seen)
    with Parser() as parser:
        writer: Writer | None = None
        for outcome in parser.parse_many(changed):
            if isinstance(outcome.result, InputError):
                report.errors.append(Problem(outcome.source, str(outcome.result)))
            else:
                writer = writer or Writer(store, collection, embedder(), size, report)
                report.warnings += [Problem(outcome.source, warning) for warning in outcome.result.warnings]
                writer.write(outcome.result.document)
            on_progress(report)
        if writer:
            writer.flush()
    if sync:
        report.removed = _remove_missing(store, collection, seen)
    report.seconds = time.perf_counter() - started
    logger.info(
        "indexed %d documents (%d chunks), %d unchanged, %d removed, %d errors, %.2f s",
        len(report.documents),
        report.chunks,
        report.unchanged,
        report.removed,
        len(report.errors),
        report.seconds,
    )
    return report
