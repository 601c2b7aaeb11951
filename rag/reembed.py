"""
Another embedder for a collection: its documents are embedded again beside it, and then take its place at once.

The documents' text comes from the store; no file is read. Until the switch the collection serves as it is and may
change; afterwards nothing is left of the old vectors. What was embedded before an interruption is not embedded again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from models.base import Embedder, InputError
from rag.config import ChunkSettings
from rag.gate import Gate
from rag.report import OnProgress, Report
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Version
from rag.write import Writer, recipe

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""So long it waits for somebody who writes to the collection before it tries again to take its place."""


def reembed(
    collection: CollectionInfo,
    *,
    store: Store,
    embedder: Embedder,
    chunk: ChunkSettings,
    writing: Gate,
    build_indexes: Callable[[CollectionInfo], None],
    on_progress: OnProgress = lambda report: None,
) -> Report:
    """
    Cut and embed all documents of a collection again, and switch to the result when it is complete.

    Args:
        collection: the collection; afterwards its row is gone, and another one has its name and its settings.
        store: where it lies.
        embedder: makes the new vectors.
        chunk: how documents are cut from now on.
        writing: held by whoever writes to a collection.
        build_indexes: makes the indexes of the new rows, so that the first search need not.
        on_progress: called with the growing report after each document.

    Returns:
        The report. ``unchanged`` counts what an interrupted run had done already, and everything if there is nothing
        to do: the same embedder, and all documents cut as they should be.

    Raises:
        StoreError: the collection was removed meanwhile, or nothing more can be written.
    """
    started = time.perf_counter()
    identity = EmbedderIdentity(embedder.name, embedder.weights_hash, embedder.dim)
    stored = store.documents.versions(collection.id)
    report = Report(found=len(stored))
    same = collection.embedder.weights_hash == identity.weights_hash  # whatever it is called
    if same and all(version.recipe == recipe(chunk) for version in stored.values()):
        store.successors.drop(collection)
        report.unchanged = len(stored)
        return report
    successor = store.successors.begin(collection, identity)
    pair = _Pair(store, collection, successor, recipe(chunk))
    report.unchanged = len(stored) - len(pair.missing())
    writer = Writer(store, successor, lambda: embedder, chunk, report)
    while True:
        pair.catch_up(writer, report, on_progress)
        build_indexes(successor)
        with writing.alone() as alone:
            if alone and store.successors.take_over(collection, successor):
                break
        on_progress(report)
        if not alone:
            time.sleep(RETRY_S)
    report.seconds = time.perf_counter() - started
    logger.info("%s has the embedder %s now: %s, %.1f s", collection.name, embedder.name, report, report.seconds)
    return report


@dataclass(frozen=True, slots=True)
class _Pair:
    """A collection and the one that is filled from it."""

    store: Store
    collection: CollectionInfo
    successor: CollectionInfo
    recipe: str

    def missing(self) -> list[Version]:
        """Return the documents that the successor lacks, or has of an older version, or cut otherwise."""
        copied = self.store.documents.versions(self.successor.id)
        return [
            version
            for source, version in self.store.documents.versions(self.collection.id).items()
            if (copy := copied.get(source)) is None
            or (copy.sha256, copy.added, copy.recipe) != (version.sha256, version.added, self.recipe)
        ]

    def surplus(self) -> list[int]:
        """Return the successor's documents that the collection holds no more."""
        stored = self.store.documents.versions(self.collection.id)
        copied = self.store.documents.versions(self.successor.id)
        return [version.document_id for source, version in copied.items() if source not in stored]

    def catch_up(self, writer: Writer, report: Report, on_progress: OnProgress) -> None:
        """Make the successor hold what the collection holds now."""
        missing = self.missing()
        report.found = report.done + len(missing)
        for version in missing:
            try:
                document = self.store.documents.read_document(self.collection.id, version.document_id)
            except InputError:  # removed a moment ago
                continue
            writer.write(document, added=version.added)
            on_progress(report)
        writer.flush()
        on_progress(report)
        if surplus := self.surplus():
            self.store.documents.delete_documents(self.successor.id, surplus)
