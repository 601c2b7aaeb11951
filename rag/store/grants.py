"""Who may do what with a collection, or with one document of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from models.base import InputError
from rag.store.database import Database
from rag.store.records import Ids


@dataclass(frozen=True, slots=True)
class Grant:
    """
    A right that somebody was given; rights add up.

    Attributes:
        collection: the collection's name.
        source: the only document that it is about; empty for the whole collection.
        user: who was given it, or None.
        group: which group was given it, or None.
        level: how much, as a number; see :class:`rag.access.Level`.
    """

    collection: str
    source: str
    user: str | None
    group: str | None
    level: int


REMEMBERED = 64
"""Of so many users and collections the documents are remembered: 50,000 of them take 60 ms to read."""

_HIS = "(g.user_id = ? OR g.group_id IN (SELECT group_id FROM members WHERE user_id = ?))"


class Grants:
    """The grants of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._rows = lru_cache(maxsize=REMEMBERED)(self._select)

    def level(self, collection_id: int, user_id: int, source: str = "") -> int:
        """Return the most that a user may do with a collection or, if ``source`` is given, with that document."""
        sql = f"SELECT max(level) FROM grants g WHERE collection_id = ? AND source IN ('', ?) AND {_HIS}"  # noqa: S608
        with self._db.reading() as connection:
            row = connection.execute(sql, (collection_id, source, user_id, user_id)).fetchone()
        return int(row[0] or 0) if row else 0

    def documents(self, collection_id: int, user_id: int, changes: int) -> Ids:
        """
        Return the rows of the documents that a user was given one by one, ascending.

        They are read again after any change of rights; ``changes`` tells one state of the collection from the next.
        """
        return self._rows(collection_id, user_id, changes, self._db.rights)

    def _select(self, collection_id: int, user_id: int, changes: int, rights: int) -> Ids:
        sql = (
            "SELECT DISTINCT d.id FROM grants g JOIN documents d"  # noqa: S608 - only literals
            f" ON d.collection_id = g.collection_id AND d.source = g.source WHERE g.collection_id = ? AND {_HIS}"
            " ORDER BY d.id"
        )
        with self._db.reading() as connection:
            found = connection.execute(sql, (collection_id, user_id, user_id))
            rows = np.fromiter((row for (row,) in found), dtype=np.int64)
        rows.flags.writeable = False
        return rows

    def of_collection(self, collection_id: int) -> list[Grant]:
        """Return every grant of a collection."""
        sql = (
            "SELECT c.name, g.source, u.name, s.name, g.level FROM grants g"
            " JOIN collections c ON c.id = g.collection_id"
            " LEFT JOIN users u ON u.id = g.user_id LEFT JOIN groups s ON s.id = g.group_id"
            " WHERE g.collection_id = ? ORDER BY g.source, u.name, s.name"
        )
        with self._db.reading() as connection:
            return [Grant(*row) for row in connection.execute(sql, (collection_id,))]

    def set(self, collection_id: int, grant: Grant) -> None:
        """
        Give a right, or change it; level 0 takes it back.

        Raises:
            InputError: there is no such user, group or document; nothing is changed.
        """
        with self._db.changing_rights() as connection:
            rows = []
            for table, name in (("users", grant.user), ("groups", grant.group)):
                sql = f"SELECT id FROM {table} WHERE name = ?"  # noqa: S608 - a literal
                row = connection.execute(sql, (name,)).fetchone() if name is not None else (None,)
                if row is None:
                    raise InputError(f"there is no {table[:-1]} {name!r}.")
                rows.append(row[0])
            user, group = rows
            if grant.source and grant.level:
                sql = "SELECT 1 FROM documents WHERE collection_id = ? AND source = ?"
                if connection.execute(sql, (collection_id, grant.source)).fetchone() is None:
                    raise InputError(f"collection {grant.collection!r} holds no document {grant.source!r}.")
            connection.execute(
                "DELETE FROM grants WHERE collection_id = ? AND source = ? AND user_id IS ? AND group_id IS ?",
                (collection_id, grant.source, user, group),
            )
            if grant.level:
                connection.execute(
                    "INSERT INTO grants (collection_id, source, user_id, group_id, level) VALUES (?, ?, ?, ?, ?)",
                    (collection_id, grant.source, user, group, grant.level),
                )
