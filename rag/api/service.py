"""What every endpoint works with: the open workspace, who may use it, the generation queue, the counters."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request

from models.adapter_store import NO_ADAPTER
from rag.access import Access, Principal
from rag.api.errors import missing
from rag.api.metrics import Metrics
from rag.knowledge_base import KnowledgeBase
from rag.store.records import CollectionInfo
from rag.upkeep import Upkeep
from rag.worker import GenerationWorker, QueueFullError
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
        failure: why the models could not be loaded, once that is known.
    """

    def __init__(self, workspace: Workspace, access: Access) -> None:
        self.workspace = workspace
        self.access = access
        server = workspace.settings.server
        self.worker = GenerationWorker(server.queue_length, server.slots)
        self.metrics = Metrics(lambda: self.worker.waiting)
        self._upkeep = Upkeep(workspace)
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
        """Start the generation queue and load both models in a thread; then the server is ready, and upkeep begins."""
        self.worker.start()
        threading.Thread(target=self._load_models, name="loading", daemon=True).start()

    def _load_models(self) -> None:
        started = time.perf_counter()
        models = self.workspace.models
        try:
            _ = models.embedder, models.generator
        except Exception as error:
            self.failure = error
            return
        self._loaded.set()
        self._upkeep.start()
        logger.info("models loaded, %.2f s", time.perf_counter() - started)

    async def drain(self) -> None:
        """Stop being ready, and finish the answers that were accepted, within the configured time."""
        self._draining = True
        await self.worker.drain(self.workspace.settings.server.drain_s)
        await anyio.to_thread.run_sync(self._upkeep.stop)

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

    # What follows looks names up, so that a wrong one is a 404 before any work is done.

    def collection_info(self, name: str) -> CollectionInfo:
        """
        Return what a collection holds.

        Raises:
            ApiError: there is none of that name (404).
        """
        for info in self.workspace.collections():
            if info.name == name:
                return info
        raise missing(f"there is no collection {name!r}; GET /api/collections lists them.", "collection_not_found")

    def collection(self, name: str) -> KnowledgeBase:
        """
        Return a collection.

        Raises:
            ApiError: there is none of that name (404).
            StoreError: it was built with another embedder.
        """
        return self.workspace.collection(self.collection_info(name).name)

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


ServiceDep = Annotated[Service, Depends(_service)]
PrincipalDep = Annotated[Principal, Depends(_principal)]
