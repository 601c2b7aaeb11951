"""One collection: documents in, hits and answers out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from models.base import InputError, Message, SamplingParams
from rag.answer import AnswerStream, Question, answer_from, last
from rag.config import Settings
from rag.index import CollectionIndex
from rag.load import Parser
from rag.loaded import LoadedModels
from rag.report import OnProgress, Problem, Report
from rag.retrieve import retrieve
from rag.store import Store
from rag.store.records import CollectionInfo, Ids, StoredDocument
from rag.types import Answer, Document, Filter, Hit
from rag.write import Writer, ingest_files


class KnowledgeBase:
    """
    One collection, as :meth:`rag.workspace.Workspace.collection` opens it; safe to use from several threads.

    Args:
        settings: how documents are cut, passages found, answers made.
        store: the truth.
        info: the collection.
        models: the embedder and the generator.
        index: the collection's indexes.
        writing: held while documents are written, so that two writers never interleave.
        on_close: what :meth:`close` does.

    Attributes:
        name: the collection's name.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        info: CollectionInfo,
        models: LoadedModels,
        index: CollectionIndex,
        writing: threading.Lock,
        on_close: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._info = info
        self._models = models
        self._index = index
        self._writing = writing
        self.close = on_close
        self.name = info.name

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add(self, *paths: str | Path, sync: bool = False, on_progress: OnProgress = lambda report: None) -> Report:
        """
        Index files and folders; unchanged files cost nothing. See :func:`rag.write.ingest_files`.

        Args:
            paths: files and folders.
            sync: also remove documents whose file is gone.
            on_progress: called with the growing report after each file.
        """
        with self._writing:
            report = ingest_files(
                [Path(path) for path in paths],
                store=self._store,
                collection=self._info,
                embedder=lambda: self._models.embedder,
                size=self._settings.chunk.size,
                sync=sync,
                on_progress=on_progress,
            )
        self._index.save()
        return report

    def add_documents(self, documents: Iterable[Document]) -> Report:
        """Index documents that are text already; each takes the place of what stood under its source."""
        started = time.perf_counter()
        with self._writing:
            report = Report()
            size = self._settings.chunk.size
            writer = Writer(self._store, self._info, self._models.embedder, size, report)
            for document in documents:
                writer.write(document)
            writer.flush()
        self._index.save()
        report.seconds = time.perf_counter() - started
        return report

    def upload(self, name: str, data: bytes) -> Report:
        """
        Index a file that came as bytes; its name becomes its source.

        Returns:
            The report; a file that cannot be read is in its ``errors``.
        """
        with Parser() as parser:
            try:
                parsed = parser.parse_bytes(data, name)
            except InputError as error:
                return Report(errors=[Problem(name, str(error).removeprefix(f"{name} "))])
        report = self.add_documents([parsed.document])
        report.warnings += [Problem(name, warning) for warning in parsed.warnings]
        return report

    def remove(self, *document_ids: int) -> int:
        """Take documents out, and return how many there were."""
        return self._store.documents.delete_documents(self._info.id, document_ids)

    def documents(self, *, after: str = "", limit: int = 100, contains: str = "") -> list[StoredDocument]:
        """Return up to ``limit`` documents by source, from behind ``after``, whose name contains ``contains``."""
        return self._store.documents.documents(self._info.id, after=after, limit=limit, contains=contains)

    def document(self, document_id: int) -> Document:
        """
        Return a whole document.

        Raises:
            InputError: there is no such document.
        """
        return self._store.documents.read_document(self._info.id, document_id)

    def search(
        self, question: str, k: int = 10, *, where: Filter | None = None, readable: Ids | None = None
    ) -> list[Hit]:
        """
        Return the best passages for a question, best first.

        Args:
            question: any text up to 20,000 characters.
            k: how many.
            where: which documents may be found.
            readable: rows of the documents that the caller may read; None for all.
        """
        return retrieve(
            question,
            k,
            store=self._store,
            index=self._index,
            collection=self._info,
            embedder=self._models.embedder,
            settings=self._settings.retrieval,
            documents=self._permitted(where, readable),
        )

    def _permitted(self, where: Filter | None, readable: Ids | None) -> Ids | None:
        if where is None:
            return readable
        matching = self._store.documents.matching(self._info.id, where)
        return matching if readable is None else np.intersect1d(matching, readable)

    def ask(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        params: SamplingParams | None = None,
    ) -> Answer:
        """
        Answer a question from the collection; see :meth:`stream`.

        Returns:
            The answer, with citations that are exact quotes.
        """
        return last(self.stream(question, adapter=adapter, history=history, where=where, params=params))

    def stream(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        params: SamplingParams | None = None,
    ) -> AnswerStream:
        """
        Answer a question from the collection, yielding the text as it grows and then the :class:`Answer`.

        Args:
            question: the question, understandable on its own.
            adapter: name of a LoRA adapter, or None for the base model.
            history: earlier turns, oldest first.
            where: which documents may be used.
            params: how tokens are chosen; greedy by default.

        Raises:
            InputError: the question is empty, or too long for the model's context.
            ModelError: the adapter is unknown.
        """
        settings, generator = self._settings.answer, self._models.generator
        asked = Question(
            text=question,
            history=tuple(history),
            adapter=adapter,
            params=params or SamplingParams(max_tokens=settings.max_tokens),
            arrived=time.perf_counter(),
        )
        hits = self.search(question, settings.passages, where=where)
        return answer_from(
            asked, hits, collection=self.name, generator=generator, settings=settings, read=self.document
        )
