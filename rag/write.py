"""
The write half: files -> documents -> chunks -> vectors -> store.

A file whose bytes and recipe are unchanged costs one hash. The others are parsed ahead in a child process, embedded in
large batches, and stored in transactions of whole documents: what is reported as indexed is on disk.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from models.base import Embedder, InputError
from rag.chunk import split
from rag.load import Limits, Outcome, Parser, SourceFile, find_files
from rag.load.files import read_file
from rag.load.values import EMPTY, NO_TEXT
from rag.report import OnProgress, Problem, Report
from rag.store import Store
from rag.store.records import CollectionInfo, Prepared, Version
from rag.types import Chunk, Document

logger = logging.getLogger(__name__)

BATCH_CHUNKS = 512
"""Chunks embedded together; sorted by length inside, so that little is padded."""

RECIPE_FORMAT = 1
"""Raise it when chunks or what is embedded of them change, so that stored documents are cut again."""


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
            self._report.errors.append(Problem(document.source, NO_TEXT))
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
        sync: also remove documents that came from below ``roots`` and whose file is not there any more.
        on_progress: called with the growing report after each file.

    Returns:
        The report. Files that could not be read are in ``errors``; all others are on disk.

    Raises:
        InputError: a root does not exist.
        StoreError: nothing more can be written, for example because the disk is full.
    """
    started = time.perf_counter()
    report = Report()
    known = store.documents.versions(collection.id)
    seen: set[str] = set()
    roots = [Path(root) for root in roots]
    changed = _changed(find_files(roots), known, recipe(size), seen, report)
    writer: Writer | None = None
    emptied: list[int] = []
    with Parser() as parser:
        for outcome in parser.parse_many(changed):
            if isinstance(outcome.result, InputError):
                report.errors.append(_problem(outcome, known))
                if outcome.source in known and str(outcome.result) in (EMPTY, NO_TEXT):
                    emptied.append(known[outcome.source].document_id)
            else:
                writer = writer or Writer(store, collection, embedder(), size, report)
                report.warnings += [Problem(outcome.source, warning) for warning in outcome.result.warnings]
                writer.write(outcome.result.document)
            on_progress(report)
    if writer:
        writer.flush()
    gone = emptied + (_gone(known, roots, seen, report) if sync else [])
    report.removed = store.documents.delete_documents(collection.id, gone) if gone else 0
    report.seconds = time.perf_counter() - started
    logger.info("%s, %.2f s", report, report.seconds)
    return report


def _problem(outcome: Outcome, known: Mapping[str, Version]) -> Problem:
    """Say what is wrong with a file, and that its text of before is still found."""
    reason = str(outcome.result)
    if outcome.source in known and reason not in (EMPTY, NO_TEXT):
        reason += " What was indexed of it before stays."
    return Problem(outcome.source, reason)


def _gone(known: Mapping[str, Version], roots: Iterable[Path], seen: set[str], report: Report) -> list[int]:
    """
    Return the documents that came from below ``roots`` and were not met there.

    Uploads came from no folder and stay; so does what lies in a folder that could not be read this time.
    """
    below = [root.resolve() for root in roots]
    unread = tuple("" if problem.source == "." else f"{problem.source}/" for problem in report.errors)
    return [
        version.document_id
        for source, version in known.items()
        if source not in seen
        and not source.startswith(unread)
        and any(Path(version.origin).is_relative_to(root) for root in below if version.origin)
    ]


def _changed(
    found: Iterable[SourceFile | Outcome], known: Mapping[str, Version], wanted: str, seen: set[str], report: Report
) -> Iterator[SourceFile | Outcome]:
    """Pass on the files that have to be read again, and every error; note all files in ``seen``."""
    for file in found:
        seen.add(file.source)
        version = known.get(file.source)
        if isinstance(file, Outcome) or version is None:
            yield file
            continue
        try:
            unchanged = _is_unchanged(file, version, wanted)
        except InputError as error:
            yield Outcome(file.source, error)
            continue
        if unchanged:
            report.unchanged += 1
        else:
            yield file


def _is_unchanged(file: SourceFile, version: Version, wanted: str) -> bool:
    """
    Return whether a file is what was indexed under its source.

    Raises:
        InputError: it cannot be read, or its source belongs to another file that still exists.
    """
    origin = Path(version.origin)
    if version.origin and origin != file.path and origin.is_file():
        raise InputError(
            f"would replace {origin}, which was indexed under the same name; index their common folder, "
            "or use another --collection."
        )
    data, _ = read_file(file.path, Limits().input_bytes)
    return version.recipe == wanted and version.sha256 == hashlib.sha256(data).hexdigest()
