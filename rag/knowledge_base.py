"""One collection: documents in, hits and answers out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path

from models.base import Embedder, InputError, Message, Reranker, SamplingParams
from rag.answer import OWNER, AnswerStream, Question, answer_from, last
from rag.config import Settings
from rag.followup import questions_before, standalone
from rag.gate import Gate
from rag.index import CollectionIndex
from rag.load import Parser
from rag.load.selection import Selection
from rag.loaded import LoadedModels
from rag.plan import Touched, everything
from rag.report import OnProgress, Problem, Report
from rag.retrieve import rerank, retrieve, search
from rag.store import Store
from rag.store.records import CollectionInfo, Ids, StoredDocument
from rag.types import Answer, Document, Filter, Hit
from rag.write import Writer, ingest_files, is_stored


class KnowledgeBase:
    """
    One collection, as :meth:`rag.workspace.Workspace.collection` opens it; safe to use from several threads.

    Args:
        settings: how documents are cut, passages found, answers made.
        store: the truth.
        info: the collection.
        models: the embedders and the generator.
        index: the collection's indexes.
        writing: held while documents are written, so that no other collection takes this one's place meanwhile.
        reopen: opens what took this collection's place.
        on_close: what :meth:`close` does.

    Attributes:
        name: the collection's name.
        settings: what holds for it.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        info: CollectionInfo,
        models: LoadedModels,
        index: CollectionIndex,
        writing: Gate,
        reopen: Callable[[], KnowledgeBase],
        on_close: Callable[[], None],
    ) -> None:
        self.settings = settings
        self._store = store
        self._info = info
        self._models = models
        self._index = index
        self._writing = writing
        self._reopen = reopen
        self.close = on_close
        self.name = info.name
        self._readable: Callable[[CollectionInfo], Ids | None] = lambda _: None

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def with_settings(self, settings: Settings) -> KnowledgeBase:
        """Return the same collection under other settings."""
        changed = copy(self)
        changed.settings = settings
        return changed

    def restricted(self, readable: Callable[[CollectionInfo], Ids | None]) -> KnowledgeBase:
        """
        Return the same collection as a reader sees it who may not read everything.

        Args:
            readable: asked at every use for the rows of the documents that may be read, ascending; None for all.
        """
        changed = copy(self)
        changed._readable = readable
        return changed

    def _current(self) -> KnowledgeBase:
        """Return what has the collection's name now: another one, if it was embedded again since this was opened."""
        if self._store.documents.exists(self._info.id):
            return self
        return self._reopen().with_settings(self.settings).restricted(self._readable)

    def _embedder(self) -> Embedder:
        return self._models.embedder_of(self._info.embedder)

    def _reranker(self) -> Reranker | None:
        return self._models.reranker if self.settings.retrieval.rerank else None

    def add(
        self,
        *paths: str | Path,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        sync: bool = False,
        workers: int | None = None,
        touched: Touched = everything,
        on_progress: OnProgress = lambda report: None,
    ) -> Report:
        """
        Index files and folders; unchanged files cost nothing. See :func:`rag.write.ingest_files`.

        Args:
            paths: files and folders.
            include: when given, only files that match one of these patterns; see :class:`rag.load.selection.Selection`.
            exclude: not the files that match one of these.
            sync: also remove documents from below ``paths`` whose file is gone, or is not taken any more.
            workers: processes that read files; None chooses.
            touched: which files may have changed since the last time.
            on_progress: called with the growing report after each file.
        """
        with self._writing:
            base = self._current()
            report = ingest_files(
                [Path(path) for path in paths],
                store=base._store,
                collection=base._info,
                embedder=base._embedder,
                chunk=base.settings.chunk,
                selection=Selection(include, exclude),
                sync=sync,
                workers=workers,
                touched=touched,
                on_progress=on_progress,
            )
        base._index.save()
        return report

    def add_documents(self, documents: Iterable[Document]) -> Report:
        """
        Index documents that are text already; each takes the place of what stood under its source.

        One that has a ``sha256`` and is stored already, cut in the same way, costs nothing.
        """
        started = time.perf_counter()
        report = Report()
        with self._writing:
            base = self._current()
            known = base._store.documents.versions(base._info.id)
            writer = Writer(base._store, base._info, base._embedder, base.settings.chunk, report)
            for document in documents:
                if is_stored(document, known.get(document.source), base.settings.chunk):
                    report.unchanged += 1
                    continue
                try:
                    writer.write(document)
                except InputError as error:
                    report.errors.append(Problem(document.source, str(error)))
            writer.flush()
        base._index.save()
        report.seconds = time.perf_counter() - started
        return report

    def upload(self, name: str, data: bytes) -> Report:
        """Index a file that came as bytes, its name as its source; one that cannot be read is in ``errors``."""
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
        return self._store.documents.delete_documents(self._current()._info.id, document_ids)

    def documents(
        self, *, after: str = "", limit: int = 100, contains: str = "", media_type: str = ""
    ) -> list[StoredDocument]:
        """Return up to ``limit`` documents by source, from behind ``after``, whose name contains ``contains``."""
        info = self._current()._info
        return self._store.documents.documents(info.id, after, limit, contains, media_type, self._readable(info))

    def sources(self) -> dict[str, int]:
        """Return the row of every document by its source."""
        versions = self._store.documents.versions(self._current()._info.id)
        return {source: version.document_id for source, version in versions.items()}

    def document(self, document_id: int) -> Document:
        """
        Return a whole document.

        Raises:
            InputError: there is no such document, or it may not be read.
        """
        info = self._current()._info
        readable = self._readable(info)
        if readable is not None and document_id not in readable:
            raise InputError(f"there is no document {document_id} in this collection; list them first.")
        return self._store.documents.read_document(info.id, document_id)

    def search(self, question: str, k: int = 10, *, where: Filter | None = None) -> list[Hit]:
        """
        Return the best passages for a question, best first.

        Args:
            question: any text up to 20,000 characters.
            k: how many.
            where: which documents may be found.
        """
        base = self._current()
        hits = retrieve(
            question,
            k,
            store=base._store,
            index=base._index,
            collection=base._info,
            embedder=base._embedder(),
            settings=base.settings.retrieval,
            reranker=base._reranker(),
            where=where,
            readable=base._readable(base._info),
        )
        if not hits and base._current() is not base:  # its rows went while they were searched
            return base.search(question, k, where=where)
        return hits

    def rank(self, question: str, k: int) -> list[Hit]:
        """Return at least the best ``k`` chunks, best first, neither collapsed nor joined: what measuring looks at."""
        base = self._current()
        query, settings = base._embedder().embed_query(question), base.settings.retrieval
        scored = search(question, query, k, store=base._store, index=base._index, settings=settings)
        hits, reranker = base._store.passages.hits(scored, base.name), base._reranker()
        return rerank(question, hits, base.settings.retrieval.rerank, reranker) if reranker else hits

    def ask(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        params: SamplingParams | None = None,
    ) -> Answer:
        """Answer a question from the collection, with citations that are exact quotes; see :meth:`stream`."""
        return last(self.stream(question, adapter=adapter, history=history, where=where, params=params))

    def stream(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        where: Filter | None = None,
        params: SamplingParams | None = None,
        scope: str = OWNER,
    ) -> AnswerStream:
        """
        Answer a question from the collection, yielding the text as it grows and then the :class:`Answer`.

        Args:
            question: the question; a follow-up is searched for together with what it follows.
            adapter: name of a LoRA adapter, ``base`` for none, or None for what the settings say.
            history: earlier turns, oldest first.
            where: which documents may be used.
            params: how tokens are chosen; greedy by default.
            scope: whose question it is; see :class:`rag.answer.Question`.

        Raises:
            InputError: the question is empty, or too long for the model's context.
            ModelError: the adapter is unknown.
        """
        settings, generator = self.settings.answer, self._models.generator
        asked = Question(
            text=question,
            whole=standalone(question, history),
            history=tuple(history),
            adapter=self._models.adapter_for_passages(adapter),
            params=params or SamplingParams(max_tokens=settings.max_tokens),
            scope=scope,
            arrived=time.perf_counter(),
        )
        before = [] if self._reranker() else questions_before(history)  # a reranker would make that slow
        return answer_from(
            asked,
            self.search(asked.whole, settings.passages, where=where),
            [self.search(whole, settings.passages, where=where) for whole in before],
            collection=self.name,
            generator=generator,
            settings=settings,
            read=self.document,
        )
