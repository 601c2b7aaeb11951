"""An open data directory with its models: what the commands, the server and ``rag.open`` all work through."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from models.base import Embedder, Generator, InputError, Message, SamplingParams, StoreError
from models.catalog import NAME_PATTERN
from rag.answer import AnswerStream, Question, answer_plainly
from rag.config import Settings, load
from rag.index import CollectionIndex
from rag.index.files import IndexFiles
from rag.knowledge_base import KnowledgeBase
from rag.loaded import LoadedModels
from rag.store import Store
from rag.store.records import CollectionInfo, EmbedderIdentity

logger = logging.getLogger(__name__)


class Workspace:
    """
    A data directory, opened by one process; safe to use from several threads.

    Args:
        settings: where the data lies, which models are used, and how.
        embedder: takes the place of the configured one.
        generator: takes the place of the configured one.

    Raises:
        StoreError: the directory is in use or damaged.
    """

    def __init__(
        self, settings: Settings, *, embedder: Embedder | None = None, generator: Generator | None = None
    ) -> None:
        self.settings = settings
        self.models = LoadedModels(settings, embedder=embedder, generator=generator)
        self._writing = threading.Lock()
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
                    index.save()
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
            StoreError: it was built with another embedder.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise InputError(
                f"{name!r} cannot name a collection: use lower-case letters, digits, dots, dashes and underscores, "
                "at most 64, and begin with a letter or a digit."
            )
        if create and name not in {info.name for info in self.collections()}:
            embedder = self.models.embedder
            made_by = EmbedderIdentity(embedder.name, embedder.weights_hash, embedder.dim)
            info = self.store.documents.create_collection(name, made_by)
        else:
            info = self.store.documents.collection(name)
        configured = self.models.embedder_hash
        if info.embedder.weights_hash != configured:
            raise StoreError(
                f"collection {name!r} was built with embedder {info.embedder.name!r} "
                f"({info.embedder.weights_hash[:12]}), but {self.settings.embedder!r} ({configured[:12]}) "
                "is configured, and vectors of two embedders cannot be compared; "
                f"set HOMEGROUND_EMBEDDER={info.embedder.name}, or index the documents into another --collection."
            )
        return KnowledgeBase(self.settings, self.store, info, self.models, self._index(info), self._writing, on_close)

    def chat(
        self,
        question: str,
        *,
        adapter: str | None = None,
        history: Sequence[Message] = (),
        params: SamplingParams | None = None,
    ) -> AnswerStream:
        """
        Answer from the model alone, yielding the text as it grows and then the :class:`rag.types.Answer`.

        Args:
            question: the last turn.
            adapter: name of a LoRA adapter, or None for the base model.
            history: earlier turns, oldest first.
            params: how tokens are chosen; greedy by default.

        Raises:
            InputError: the question is too long for the model's context.
            ModelError: the adapter is unknown.
        """
        asked = Question(
            text=question,
            history=tuple(history),
            adapter=adapter,
            params=params or SamplingParams(max_tokens=self.settings.answer.max_tokens),
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
