"""What every endpoint works with: the open workspace, who may use it, the generation queue, the counters."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from models.adapter_store import NO_ADAPTER
from rag.access import Access, AccessLog, Authority, Level, Principal
from rag.answer import AnswerStream
from rag.api.errors import ApiError, missing
from rag.api.metrics import Metrics
from rag.api.revocations import Revocations
from rag.knowledge_base import KnowledgeBase
from rag.runs.launcher import Launcher
from rag.store.records import CollectionInfo
from rag.types import Answer
from rag.upkeep import Upkeep
from rag.worker import GenerationWorker, Job, QueueFullError
from rag.workspace import Workspace

logger = logging.getLogger(__name__)

HEAVY_AT_ONCE = 2
HEAVY_RETRY_S = 10

T = TypeVar("T")


class Service:
    """
    The state of one running server.

    Args:
        workspace: the open data directory with its models.
        access: who may use it.

    Attributes:
        worker: the generation queue.
        metrics: the counters.
        log: who did what.
        authority: who may do what.
        launcher: what runs for people beside answers.
        failure: why the models could not be loaded, once that is known.
    """

    def __init__(self, workspace: Workspace, access: Access) -> None:
        self.workspace = workspace
        self.access = access
        server = workspace.settings.server
        self.worker = GenerationWorker(server.queue_length)
        self.metrics = Metrics(lambda: self.worker.waiting)
        self.authority = Authority(workspace.store)
        self.log = AccessLog(workspace.store, server.access_log_days, keeps_text=server.access_log_text)
        self._rights = Revocations(workspace, access, self.authority, self.worker)
        self._upkeep = Upkeep(workspace)
        self.launcher = Launcher(workspace.store.runs)
        self.failure: Exception | None = None
        self.started = time.time()
        self._heavy = anyio.CapacityLimiter(HEAVY_AT_ONCE)
        self._loaded = threading.Event()
        self._draining = False

    @property
    def state(self) -> str:
        """``loading``, ``ready`` or ``stopping``."""
        if self._draining:
            return "stopping"
        return "ready" if self._loaded.is_set() else "loading"

    def start(self) -> None:
        """Load both models in a thread; then answers are made, the server is ready, and upkeep begins."""
        self.log.start()
        self._rights.start()
        self.launcher.start()
        threading.Thread(target=self._load_models, name="loading", daemon=True).start()

    def _load_models(self) -> None:
        started = time.perf_counter()
        models = self.workspace.models
        try:
            _ = models.embedder
            places = models.generator.places
        except Exception as error:
            self.failure = error
            return
        self.worker.start(self.workspace.settings.server.slots or places)
        self._loaded.set()
        self._upkeep.start()
        logger.info("models loaded, %.2f s", time.perf_counter() - started)

    async def drain(self) -> None:
        """Stop being ready, and finish the answers that were accepted, within the configured time."""
        self._draining = True
        ending = asyncio.create_task(asyncio.to_thread(self.launcher.stop))
        await self.worker.drain(self.workspace.settings.server.drain_s)
        await anyio.to_thread.run_sync(self._upkeep.stop)
        await anyio.to_thread.run_sync(self._rights.stop)
        await ending
        await anyio.to_thread.run_sync(self.log.stop)

    async def work(self, function: Callable[[], T]) -> T:
        """
        Run what takes all cores (embedding, parsing) in a thread: two at once, the others wait without a thread.

        Raises:
            QueueFullError: too many wait already.
        """
        waiting = self._heavy.statistics().tasks_waiting
        if waiting >= self.workspace.settings.server.queue_length:
            raise QueueFullError(HEAVY_RETRY_S)
        return await anyio.to_thread.run_sync(function, limiter=self._heavy)

    def submit(self, principal: Principal, collection: str | None, make: Callable[[], AnswerStream]) -> Job:
        """
        Queue a request for an answer; call it on the event loop.

        It is given up within a second once the principal's credential, or right to the collection, is taken back.

        Args:
            principal: whose request it is.
            collection: where it looks; None for the model alone.
            make: see :meth:`rag.worker.GenerationWorker.submit`.

        Raises:
            QueueFullError: there is no place for it.
            DrainingError: the server is shutting down.
        """
        job = self.worker.submit(principal.name, make)
        self._rights.watch(job, principal, collection)
        return job

    def noted(self, stream: AnswerStream, principal: Principal, question: str) -> AnswerStream:
        """Pass an answer on, and note at its end which documents the model was given for it."""
        with closing(stream):
            for outcome in stream:
                if isinstance(outcome, Answer):
                    used = [hit.source for hit in outcome.hits]
                    self.log.note(principal, "ask", outcome.collection, used, question)
                yield outcome

    # What follows looks names up for somebody: what he may not know of is a 404 like what is not there.

    def collections(self, principal: Principal) -> list[CollectionInfo]:
        """Return the collections that a principal may know of, by name, with counts of what may be read in them."""
        return [
            self._as_seen(principal, info)
            for info in self.workspace.collections()
            if self.authority.sees(principal, info)
        ]

    def known(self, principal: Principal, name: str) -> CollectionInfo | None:
        """Return the collection of that name, if there is one that a principal may know of."""
        info = self.workspace.find(name)
        return info if info is not None and self.authority.sees(principal, info) else None

    def _as_seen(self, principal: Principal, info: CollectionInfo) -> CollectionInfo:
        readable = self.authority.readable(principal, info)
        if readable is None:
            return info
        documents, chunks = self.workspace.store.passages.count_among(info.id, readable)
        return replace(info, documents=documents, chunks=chunks)

    def collection_info(
        self, principal: Principal, name: str, level: Level = Level.READ, source: str = ""
    ) -> CollectionInfo:
        """Return what a principal may know of a collection, with counts of what may be read; see :meth:`allowed`."""
        return self._as_seen(principal, self.allowed(principal, name, level, source))

    def allowed(self, principal: Principal, name: str, level: Level = Level.READ, source: str = "") -> CollectionInfo:
        """
        Return a collection that a principal may do something with.

        Args:
            principal: who asks.
            name: the collection's.
            level: what he is about to do.
            source: the document that he is about to do it to; empty for the whole collection.

        Raises:
            ApiError: there is none of that name, or he may not know of it (404), or not do that (403).
        """
        info = self.known(principal, name)
        if info is None:
            raise missing(f"there is no collection {name!r}; GET /api/collections lists them.", "collection_not_found")
        if level > Level.READ and self.authority.level(principal, info, source) < level:
            raise ApiError(403, f"you may not do that in {name!r}; ask who manages it.", "access_error")
        return info

    def collection(self, principal: Principal, name: str, level: Level = Level.READ, source: str = "") -> KnowledgeBase:
        """
        Return a collection as a principal may see it; see :meth:`allowed`.

        Raises:
            ApiError: there is none of that name, or he may not know of it (404), or not do that (403).
            StoreError: it was built with another embedder.
        """
        info = self.allowed(principal, name, level, source)
        return self.workspace.collection(info.name).restricted(partial(self.authority.readable, principal))

    def require_adapter(self, name: str | None) -> None:
        """
        Check that an adapter is offered; None leaves the choice to the settings, ``base`` is the base model.

        Raises:
            ApiError: there is none of that name (404).
        """
        known = self.workspace.models.generator.adapters
        if name not in (None, NO_ADAPTER, *known):
            raise missing(
                f"there is no adapter {name!r}; offered are: {', '.join(known) or 'none'}.", "adapter_not_found"
            )


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _administrator(principal: Annotated[Principal, Depends(_principal)]) -> Principal:
    if not principal.is_admin:
        raise ApiError(403, "only administrators may do that.", "access_error")
    return principal


ServiceDep = Annotated[Service, Depends(_service)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
AdministratorDep = Annotated[Principal, Depends(_administrator)]
