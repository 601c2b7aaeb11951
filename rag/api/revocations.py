"""Answers that are being made stop soon after the right to them was taken back."""

from __future__ import annotations

import logging
import threading
from weakref import WeakKeyDictionary

import numpy as np

from models.base import AccessError, StoreError
from rag.access import Access, Authority, Principal
from rag.periodic import Periodic
from rag.store.records import Ids
from rag.worker import GenerationWorker, Job
from rag.workspace import Workspace

logger = logging.getLogger(__name__)

EVERY_S = 0.4


class Revocations:
    """
    Looks at every answer in the making, and gives up those that may not be made any more.

    Args:
        workspace: its collections.
        access: knows credentials.
        authority: knows rights.
        worker: makes the answers.
    """

    def __init__(self, workspace: Workspace, access: Access, authority: Authority, worker: GenerationWorker) -> None:
        self._workspace, self._access, self._authority, self._worker = workspace, access, authority, worker
        self._watched: WeakKeyDictionary[Job, tuple[Principal, str | None, Ids | None]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._looking = Periodic("revocations", EVERY_S, self._look)
        self.start, self.stop = self._looking.start, self._looking.stop

    def watch(self, job: Job, principal: Principal, collection: str | None) -> None:
        """Look at a job until it is gone."""
        info = self._workspace.find(collection)
        readable = self._authority.readable(principal, info) if info else None
        with self._lock:
            self._watched[job] = principal, collection, readable

    def _look(self) -> None:
        with self._lock:
            watched = list(self._watched.items())
        try:
            for job, what in watched:
                if not self._still_may(*what):
                    self._worker.give_up(job, AccessError("the right to this answer was taken back."))
        except StoreError as error:
            logger.error("rights cannot be read: %s", error)

    def _still_may(self, principal: Principal, collection: str | None, before: Ids | None) -> bool:
        now = self._access.again(principal)
        if now is None:
            return False
        info = self._workspace.find(collection)
        if info is None:
            return collection is None
        readable = self._authority.readable(now, info)
        return readable is None or (before is not None and bool(np.isin(before, readable).all()))
