"""
The collection that will take another one's place: filled beside it, listed nowhere, and put in its place at once.

Its row names the collection that it ``replaces``; its own name holds a character that no user's collection can have.
"""

from __future__ import annotations

import time

from rag.store.database import Database
from rag.store.records import CollectionInfo, EmbedderIdentity

_NAME = "{}~next"


class Successors:
    """The successors in one database, at most one for each collection; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def begin(self, collection: CollectionInfo, embedder: EmbedderIdentity) -> CollectionInfo:
        """
        Return the successor of a collection: the one that was begun with this embedder, else a new, empty one.

        One that was begun with another embedder is removed.
        """
        with self._db.transaction() as connection:
            connection.execute(
                "DELETE FROM collections WHERE replaces = ? AND embedder_id IS NOT"
                " (SELECT id FROM embedders WHERE weights_hash = ?)",
                (collection.id, embedder.weights_hash),
            )
            connection.execute(
                "INSERT INTO embedders (name, weights_hash, dim) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (embedder.name, embedder.weights_hash, embedder.dim),
            )
            name = _NAME.format(collection.name)
            connection.execute(
                "INSERT INTO collections (name, embedder_id, created, replaces)"
                " SELECT ?, id, ?, ? FROM embedders WHERE weights_hash = ? ON CONFLICT DO NOTHING",
                (name, time.time(), collection.id, embedder.weights_hash),
            )
            row = connection.execute("SELECT id FROM collections WHERE replaces = ?", (collection.id,)).get
        return CollectionInfo(row, name, embedder, 0, 0, collection.settings)

    def drop(self, collection: CollectionInfo) -> None:
        """Remove what was begun beside a collection, if anything was."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM collections WHERE replaces = ?", (collection.id,))

    def take_over(self, collection: CollectionInfo, successor: CollectionInfo) -> bool:
        """
        Put the successor in its collection's place, in one transaction, if both hold the same documents.

        The name, the settings and the grants go over to it; the old rows are removed.

        Returns:
            False when a document is missing, outdated or too many; nothing is changed then.
        """
        versions = "SELECT source, sha256, added FROM documents WHERE collection_id = ?"
        pair = collection.id, successor.id
        with self._db.transaction() as connection:
            for one, other in (pair, pair[::-1]):
                if connection.execute(f"{versions} EXCEPT {versions} LIMIT 1", (one, other)).fetchone():
                    return False
            connection.execute(
                "UPDATE collections SET replaces = NULL, (created, settings) ="
                " (SELECT created, settings FROM collections WHERE id = ?) WHERE id = ?",
                pair,
            )
            connection.execute(
                "UPDATE grants SET collection_id = ? WHERE collection_id = ?", (successor.id, collection.id)
            )
            connection.execute("DELETE FROM collections WHERE id = ?", (collection.id,))
            connection.execute("UPDATE collections SET name = ? WHERE id = ?", (collection.name, successor.id))
        return True
