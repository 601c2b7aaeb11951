"""An open data directory with its models: what the commands, the server and ``rag.open`` all work through."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from models.adapter_store import NO_ADAPTER
from models.base import Embedder, Generator, InputError, Message, ModelError, Reranker, SamplingParams, StoreError
from models.catalog import NAME_PATTERN
from rag.answer import OWNER, AnswerStream, Question, answer_plainly
from rag.config import Settings, load, with_own
from rag.gate import Gate
from rag.index import CollectionIndex
from rag.index.files import IndexFiles
from rag.knowledge_base import KnowledgeBase
from rag.loaded import LoadedModels
from rag.reembed import reembed
from rag.report import OnProgress, Report
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity, Prepared

logger = logging.getLogger(__name__)


class Workspace:
    """
    A data directory, opened by one process; safe to use from several threads.

    Args:
        settings: where the data lies, which models are used, and how.
        embedder: takes the place of the configured one.
        generator: takes the place of the configured one.
        reranker: takes the place of the configured one.

    Raises:
        StoreError: the directory is in use or damaged.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedder: Embedder | None = None,
        generator: Generator | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self.settings = settings
        self.models = LoadedModels(settings, embedder=embedder, generator=generator, reranker=reranker)
        self._writing = Gate()
        self._indexing = threading.Lock()
        self._indexes: dict[int, CollectionIndex] = {}
        self.store = Store(settings.data_dir)
        self._files = IndexFiles(settings.data_dir / "indexes")
        self._files.keep_only(self.store.passages.index_directories())

    def close(self) -> None:
        """Save what is worth saving and release the directory; an index that cannot be saved is built again."""
        with self._indexing:
            for index in self._indexes.values():
                try:
                    index.close()
                except StoreError as error:
                    logger.warning("%s", error)
            self._indexes.clear()
        self.store.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def collections(self) -> list[CollectionInfo]:
        """Return every collection, by name."""
        return self.store.documents.collections()

    def find(self, name: str | None) -> CollectionInfo | None:
        """Return the collection of that name, if there is one."""
        return next((info for info in self.collections() if info.name == name), None)

    def collection(
        self, name: str, *, create: bool = False, on_close: Callable[[], None] = lambda: None
    ) -> KnowledgeBase:
        """
        Return a collection.

        Args:
            name: its name.
            create: make it when there is none.
            on_close: what closing the knowledge base does beside; nothing by default.

        Raises:
            InputError: there is no such collection, or the name has characters that names cannot have.
            ConfigError: the collection's own settings cannot be used.
            StoreError: the embedder that it was built with is not on this machine.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise InputError(
                f"{name!r} cannot name a collection: use lower-case letters, digits, dots, dashes and underscores, "
                "at most 64, and begin with a letter or a digit."
            )
        if create and self.find(name) is None:
            embedder = self.models.embedder
            made_by = EmbedderIdentity(embedder.name, embedder.weights_hash, embedder.dim)
            info = self.store.documents.create_collection(name, made_by)
        else:
            info = self.store.documents.collection(name)
        self._require_embedder(info)
        settings = with_own(self.settings, info.settings, name)
        index, reopen = self._index(info), partial(self.collection, name, on_close=on_close)
        return KnowledgeBase(settings, self.store, info, self.models, index, self._writing, reopen, on_close)

    def _require_embedder(self, info: CollectionInfo) -> None:
        try:
            self.models.require(info.embedder)
        except ModelError as error:
            raise StoreError(
                f"collection {info.name!r} was built with embedder {info.embedder.name!r} "
                f"({info.embedder.weights_hash[:12]}), which is not on this machine, and vectors of two embedders "
                f"cannot be compared. {error} Or embed the stored documents again with {self.settings.embedder!r}: "
                f"`python -m rag.ingest --reembed --collection {info.name}`."
            ) from error

    def reembed(self, name: str, *, on_progress: OnProgress = lambda report: None) -> Report:
        """
        Embed a collection's documents again with the configured embedder and settings; see :mod:`rag.reembed`.

        Args:
            name: the collection, which serves and may change until all is done.
            on_progress: called with the growing report after each document.

        Raises:
            InputError: there is no such collection.
            ModelError: the configured embedder is missing.
        """
        info = self.store.documents.collection(name)
        report = reembed(
            info,
            store=self.store,
            embedder=self.models.embedder,
            chunk=with_own(self.settings, info.settings, name).chunk,
            writing=self._writing,
            build_indexes=self._build_indexes,
            on_progress=on_progress,
        )
        if not self.store.documents.exists(info.id):
            with self._indexing:
                self._indexes.pop(info.id, None)
            self._files.remove_all(info.id)
            if info.embedder not in {other.embedder for other in self.collections()}:
                self.models.forget(info.embedder)
        return report

    def _build_indexes(self, info: CollectionInfo) -> None:
        """Make a collection's indexes, or bring them up to date, while others are opened and searched."""
        index = self._indexes.get(info.id) or CollectionIndex(self.store, info, self._files)
        index.save()
        with self._indexing:
            self._indexes[info.id] = index

    def chat(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        params: SamplingParams | None = None,
        scope: str = OWNER,
    ) -> AnswerStream:
        """
        Answer from the model alone, yielding the text as it grows and then the :class:`rag.types.Answer`.

        Args:
            question: the last turn.
            adapter: name of a LoRA adapter; None and ``base`` are the base model.
            history: earlier turns, oldest first.
            params: how tokens are chosen; greedy by default.
            scope: whose question it is; see :class:`rag.answer.Question`.

        Raises:
            InputError: the question is too long for the model's context.
            ModelError: the adapter is unknown.
        """
        asked = Question(
            text=question,
            whole=question,
            history=tuple(history),
            adapter=None if adapter == NO_ADAPTER else adapter,
            params=params or SamplingParams(max_tokens=self.settings.answer.max_tokens),
            scope=scope,
            arrived=time.perf_counter(),
        )
        return answer_plainly(asked, generator=self.models.generator)

    def delete_collection(self, name: str) -> None:
        """
        Remove a collection with all its documents.

        Raises:
            InputError: there is no such collection.
        """
        info = self.store.documents.collection(name)
        with self._writing, self._indexing:
            self.store.documents.delete_collection(info.id)
            self._indexes.pop(info.id, None)
            self._files.remove_all(info.id)

    def purge(self) -> None:
        """Take what was deleted out of the indexes, the write-ahead log and the model's memory of earlier prompts."""
        for info in self.collections():
            with self._indexing:
                index = self._indexes.get(info.id)
            if index is not None:
                index.purge()
        self.store.checkpoint()
        self.models.generator.forget()

    def restore(self, collection_id: int, document: Prepared, recipe: str) -> int:
        """Put a document back that was taken out, and return its new row; nothing is read or embedded again."""
        with self._writing:
            (row,) = self.store.documents.put(collection_id, [document], recipe)
        return row

    def _index(self, info: CollectionInfo) -> CollectionIndex:
        """Return a collection's indexes, opened now if they were not."""
        with self._indexing:
            if info.id not in self._indexes:
                self._indexes[info.id] = CollectionIndex(self.store, info, self._files)
            return self._indexes[info.id]


def open(collection: str = "default", **settings: Any) -> KnowledgeBase:  # noqa: A001, ANN401 - rag.open is the name
    """
    Open a collection of an embedded store, made at first use; close it, or use it in a ``with`` block.

    Args:
        collection: its name.
        settings: any of :class:`rag.config.Settings`, for example ``data_dir`` or ``generator``.

    Raises:
        ConfigError: a setting is wrong.
        StoreError: the data directory is in use, or was built with another embedder.
        ModelError: a model is missing.
    """
    workspace = Workspace(load(collection=collection, **settings))
    try:
        return workspace.collection(collection, create=True, on_close=workspace.close)
    except BaseException:
        workspace.close()
        raise
