"""
The one place where rights are decided; what is not granted is denied.

Rights add up: those on a collection, given to a user or to a group that the user is in, and those on single documents.
Every question is answered from the store as it is now.
"""

from __future__ import annotations

import numpy as np

from rag.access.principal import Level, Principal
from rag.store import Store
from rag.store.records import CollectionInfo, Ids

NOTHING: Ids = np.empty(0, np.int64)


class Authority:
    """
    The rights in one store; safe to use from several threads.

    Args:
        store: the truth.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def level(self, principal: Principal, collection: CollectionInfo, source: str = "") -> Level:
        """Return the most that a principal may do with a collection or, if ``source`` is given, with a document."""
        if principal.collections is not None and collection.name not in principal.collections:
            return Level.NONE
        if principal.user_id is None:
            return principal.level
        granted = self._store.grants.level(collection.id, principal.user_id, source)
        return min(Level(granted), principal.level)

    def readable(self, principal: Principal, collection: CollectionInfo) -> Ids | None:
        """Return the rows of the documents that a principal may read, ascending; None for all of them."""
        if self.level(principal, collection) >= Level.READ:
            return None
        within = principal.collections is None or collection.name in principal.collections
        if principal.user_id is None or not within or principal.level < Level.READ:
            return NOTHING
        changes = self._store.documents.changes(collection.id)
        return self._store.grants.documents(collection.id, principal.user_id, changes)

    def sees(self, principal: Principal, collection: CollectionInfo) -> bool:
        """Return whether a principal may know that there is such a collection."""
        readable = self.readable(principal, collection)
        return readable is None or len(readable) > 0
