"""The access log: who used which documents, written behind the requests, a batch a second."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from models.base import StoreError
from rag.access.principal import Principal
from rag.periodic import Periodic
from rag.store import Store
from rag.store.accesses import AccessEntry

logger = logging.getLogger(__name__)

EVERY_S = 1.0
MOST_DOCUMENTS = 100
MAX_TEXT_CHARACTERS = 2_000


class AccessLog:
    """
    Notes accesses, and writes them to the store from a thread of its own.

    Args:
        store: where they are kept.
        days: how long.
        keeps_text: whether questions are kept, too.
    """

    def __init__(self, store: Store, days: int, *, keeps_text: bool) -> None:
        self._store = store
        self._keep_s = days * 24 * 3600.0
        self._keeps_text = keeps_text
        self._noted: deque[AccessEntry] = deque()
        self._writing = Periodic("access-log", EVERY_S, self.write)

    def start(self) -> None:
        """Begin to write."""
        self._writing.start()

    def stop(self) -> None:
        """Write what is left, and end."""
        self._writing.stop()
        self.write()

    def note(
        self,
        principal: Principal,
        action: str,
        collection: str | None = None,
        documents: Sequence[str] = (),
        text: str = "",
    ) -> None:
        """Note an access; it is on disk within two seconds."""
        kept = text[:MAX_TEXT_CHARACTERS] if self._keeps_text else ""
        used = tuple(dict.fromkeys(documents))[:MOST_DOCUMENTS]
        self._noted.append(AccessEntry(time.time(), principal.shown, action, collection or "", used, kept))

    def write(self) -> None:
        """Write what was noted; where the disk refuses, it is kept for the next time."""
        entries = [self._noted.popleft() for _ in range(len(self._noted))]
        if not entries:
            return
        try:
            self._store.accesses.add(entries, time.time() - self._keep_s)
        except StoreError as error:
            logger.error("the access log cannot be written: %s", error)
            self._noted.extendleft(reversed(entries))
