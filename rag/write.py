"""
The write half: files -> documents -> chunks -> vectors -> store.

A file whose bytes and recipe are unchanged costs one hash, and so does one that was moved or copied: what was stored of
its content is stored again under its name. The others are parsed ahead in child processes, embedded in large batches,
and stored in transactions of whole documents: what is reported as indexed is on disk.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from models.base import Embedder, InputError
from rag.chunk import split
from rag.config import ChunkSettings
from rag.load import Outcome, Parser, SourceFile, find_files
from rag.load.selection import Selection
from rag.load.values import EMPTY, NO_TEXT
from rag.plan import Plan, Touched, Twin, everything
from rag.report import OnProgress, Problem, Report
from rag.store import Store
from rag.store.records import BARE, CollectionInfo, Prepared, Version
from rag.types import Chunk, Document

logger = logging.getLogger(__name__)

BATCH_CHUNKS = 128
"""Chunks embedded and stored together: what an interruption loses. Batches of 512 would save 2.5 % of the time."""

RECIPE_FORMAT = 2
"""Raise it when chunks or what is embedded of them change, so that stored documents are cut again."""

CORES_PER_WORKER = 4
MOST_WORKERS = 8
"""Reading takes a ninth of the time that a CPU embeds for (63 PDFs), so that one process feeds several cores."""

EVERYTHING = Selection()


def recipe(chunk: ChunkSettings) -> str:
    """Name how documents are cut; a stored document of another recipe is cut again."""
    overlap = f"+{chunk.overlap}" if chunk.overlap else ""
    return f"{RECIPE_FORMAT}:{chunk.size}{overlap}{'' if chunk.prefix else BARE}"


def is_stored(document: Document, version: Version | None, chunk: ChunkSettings) -> bool:
    """Tell whether a document that is text already is stored in this version, cut in this way."""
    return (
        version is not None
        and bool(document.sha256)
        and (version.sha256, version.origin) == (document.sha256, document.origin)
        and version.recipe == recipe(chunk)
    )


class Writer:
    """
    Cuts, embeds and stores documents of one collection, many at a time.

    Args:
        store: where to.
        collection: the collection.
        embedder: gives what makes the vectors; not called before the first document that needs some.
        settings: how documents are cut.
        report: where each stored document is noted.
    """

    def __init__(
        self,
        store: Store,
        collection: CollectionInfo,
        embedder: Callable[[], Embedder],
        settings: ChunkSettings,
        report: Report,
    ) -> None:
        self._store = store
        self._collection = collection
        self._embedder = embedder
        self._settings = settings
        self._report = report
        self._waiting: list[tuple[Document, list[Chunk], float | None]] = []
        self._ready: list[Prepared] = []

    def write(self, document: Document, added: float | None = None) -> None:
        """
        Take a document; it is stored by now or at one of the next calls.

        Args:
            document: the document.
            added: when it came into the collection, seconds since 1970; None for now.

        Raises:
            InputError: it holds no text.
        """
        embedder = self._embedder()
        limit = embedder.max_tokens
        size, overlap = min(self._settings.size, limit), self._settings.overlap
        chunks = split(document, embedder.token_starts, size=size, limit=limit, overlap=overlap)
        if not chunks:
            raise InputError(NO_TEXT)
        self._waiting.append((document, chunks, added))
        self._flush_when_full()

    def reuse(self, twin: Twin) -> None:
        """
        Take a stored document once more, for another file of the same content.

        Its vectors are kept. A title that is only the file's name follows the new name: words find it at once, the
        vectors keep the old name until the document changes (measured: cosine .98 to those of the new name).

        Raises:
            InputError: the document is not stored any more.
        """
        document = self._store.documents.read_document(self._collection.id, twin.document_id)
        chunks, vectors = self._store.passages.of_document(twin.document_id)
        file = twin.file
        named_after_file = document.title == PurePosixPath(document.source).name
        renamed = replace(
            document,
            source=file.source,
            title=file.path.name if named_after_file else document.title,
            modified=twin.modified,
            origin=str(file.path),
        )
        self._ready.append(Prepared(renamed, chunks, vectors))
        self._flush_when_full()

    def _flush_when_full(self) -> None:
        waiting = sum(len(chunks) for _, chunks, _ in self._waiting) + sum(len(ready.chunks) for ready in self._ready)
        if waiting >= BATCH_CHUNKS:
            self.flush()

    def flush(self) -> None:
        """Embed and store whatever waits; on disk when this returns."""
        batch = self._ready + self._embedded()
        if not batch:
            return
        self._store.documents.put(self._collection.id, batch, recipe(self._settings))
        self._report.reused += len(self._ready)
        self._report.documents += [(document.source, len(chunks)) for document, chunks, _ in self._waiting]
        self._ready.clear()
        self._waiting.clear()

    def _embedded(self) -> list[Prepared]:
        if not self._waiting:
            return []
        texts = [
            chunk.searched_text(document.title, prefix=self._settings.prefix)
            for document, chunks, _ in self._waiting
            for chunk in chunks
        ]
        vectors = self._embedder().embed(texts)
        batch, begin = [], 0
        for document, chunks, added in self._waiting:
            batch.append(Prepared(document, chunks, vectors[begin : begin + len(chunks)], added))
            begin += len(chunks)
        return batch


def ingest_files(
    roots: Iterable[Path],
    *,
    store: Store,
    collection: CollectionInfo,
    embedder: Callable[[], Embedder],
    chunk: ChunkSettings,
    selection: Selection = EVERYTHING,
    sync: bool = False,
    workers: int | None = None,
    touched: Touched = everything,
    on_progress: OnProgress = lambda report: None,
) -> Report:
    """
    Bring files and folders into a collection; unchanged files cost nothing but their hash.

    Whatever is stored stays when this is interrupted, and the next call goes on from there.

    Args:
        roots: files and folders.
        store: where to.
        collection: the collection.
        embedder: gives the embedder; not called when there is nothing to embed, so that no model is loaded.
        chunk: how documents are cut.
        selection: which of the files are taken.
        sync: also remove documents that came from below ``roots`` and are not among the files taken now.
        workers: processes that read files; None takes one for four cores, up to :data:`MOST_WORKERS`.
        touched: which files may have changed since the last call; the others are not even hashed.
        on_progress: called with the growing report after each file, and before the first one.

    Returns:
        The report. Files that could not be read are in ``errors``; all others are on disk.

    Raises:
        InputError: a root does not exist.
        StoreError: nothing more can be written, for example because the disk is full.
    """
    started = time.perf_counter()
    roots = [Path(root) for root in roots]
    found = list(find_files(roots, selection))
    known = store.documents.versions(collection.id)
    report = Report(found=len(found))
    on_progress(report)
    plan = Plan(known, recipe(chunk), touched)
    for file in found:
        plan.take(file)
        report.unchanged = plan.unchanged
        on_progress(report)
    writer = Writer(store, collection, embedder, chunk, report)
    run = _Run(known, writer, report, workers or _fitting_workers(), on_progress)
    run.carry_out(plan.stored, plan.fresh)
    if plan.copies:
        rest = Plan(store.documents.versions(collection.id), recipe(chunk), touched)
        for file in plan.copies:
            rest.take(file)
        run.carry_out(rest.stored, [*rest.fresh, *rest.copies])
    gone = run.emptied + (plan.gone(roots) if sync else [])
    report.removed = store.documents.delete_documents(collection.id, gone) if gone else 0
    report.seconds = time.perf_counter() - started
    if sync and report.changed_anything:
        store.syncs.record(collection.id, known, report.documents, gone, report.errors)
    logger.info("%s, %.2f s", report, report.seconds)
    return report


def _fitting_workers() -> int:
    return max(1, min((os.cpu_count() or 1) // CORES_PER_WORKER, MOST_WORKERS))


class _Run:
    """Does what was planned; ``emptied`` are the rows of documents whose file holds no text any more."""

    def __init__(
        self, known: Mapping[str, Version], writer: Writer, report: Report, workers: int, on_progress: OnProgress
    ) -> None:
        self._known = known
        self._writer = writer
        self._report = report
        self._workers = workers
        self._on_progress = on_progress
        self.emptied: list[int] = []

    def carry_out(self, stored: Iterable[Twin], fresh: Iterable[SourceFile | Outcome]) -> None:
        """Store again what is stored under another name, then read, embed and store the others."""
        to_read = [*self._not_reused(stored), *fresh]
        with Parser(workers=self._workers) as parser:
            for outcome in parser.parse_many(to_read):
                try:
                    self._write(outcome)
                except InputError as error:
                    self._fail(outcome.source, str(error))
                self._on_progress(self._report)
        self._writer.flush()
        self._on_progress(self._report)

    def _not_reused(self, twins: Iterable[Twin]) -> Iterator[SourceFile]:
        """Store documents again; yield the files whose document was itself replaced meanwhile."""
        for twin in twins:
            try:
                self._writer.reuse(twin)
            except InputError:
                yield twin.file
            self._on_progress(self._report)
        self._writer.flush()

    def _write(self, outcome: Outcome) -> None:
        if isinstance(outcome.result, InputError):
            raise outcome.result
        self._writer.write(outcome.result.document)
        self._report.warnings += [Problem(outcome.source, warning) for warning in outcome.result.warnings]

    def _fail(self, source: str, reason: str) -> None:
        """Note what is wrong with a file, and that its text of before is still found."""
        if source in self._known and reason in (EMPTY, NO_TEXT):
            self.emptied.append(self._known[source].document_id)
        elif source in self._known:
            reason += " What was indexed of it before stays."
        self._report.errors.append(Problem(source, reason))
