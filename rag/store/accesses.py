"""Who looked at what, and when: the access log as the store keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rag.store.database import Database


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """
    One line of the access log.

    Attributes:
        at: seconds since 1970.
        who: a user's name, or ``operator``.
        action: for example ``ask``, ``read``, ``delete`` or ``sign-in``.
        collection: which; empty where none is concerned.
        documents: the sources that were shown, used or changed.
        text: the question, if the settings keep it; else empty.
    """

    at: float
    who: str
    action: str
    collection: str = ""
    documents: tuple[str, ...] = ()
    text: str = ""


class Accesses:
    """The access log of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, entries: Sequence[AccessEntry], keep_from: float) -> None:
        """Write entries, and forget those from before ``keep_from``, in one transaction."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM accesses WHERE at < ?", (keep_from,))
            connection.executemany(
                "INSERT INTO accesses (at, who, action, collection, documents, text) VALUES (?, ?, ?, ?, ?, ?)",
                [(one.at, one.who, one.action, one.collection, json.dumps(one.documents), one.text) for one in entries],
            )

    def search(
        self, *, who: str = "", collection: str = "", document: str = "", before: float | None = None, limit: int = 100
    ) -> list[AccessEntry]:
        """Return up to ``limit`` entries, newest first: of a user, on a collection, with a document, before a time."""
        sql = (
            "SELECT at, who, action, collection, documents, text FROM accesses WHERE (? = '' OR who = ?)"
            " AND (? = '' OR collection = ?)"
            " AND (? = '' OR EXISTS (SELECT 1 FROM json_each(documents) WHERE value = ?))"
            " AND (? IS NULL OR at < ?) ORDER BY at DESC, id DESC LIMIT ?"
        )
        bindings = (who, who, collection, collection, document, document, before, before, limit)
        with self._db.reading() as connection:
            return [
                AccessEntry(at, name, action, place, tuple(json.loads(documents)), text)
                for at, name, action, place, documents, text in connection.execute(sql, bindings)
            ]

    def forget(self, collection: str, documents: Sequence[str]) -> None:
        """Take the questions out of entries about documents that were deleted; that they were used stays known."""
        sql = (
            "UPDATE accesses SET text = '' WHERE collection = ? AND text != '' AND EXISTS"
            " (SELECT 1 FROM json_each(accesses.documents) d JOIN json_each(?) gone ON gone.value = d.value)"
        )
        with self._db.transaction() as connection:
            connection.execute(sql, (collection, json.dumps(list(documents))))
