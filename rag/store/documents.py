"""Collections and their documents, and the transactions that change them."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import apsw
import numpy as np

from models.base import InputError
from rag.store.database import Database
from rag.store.records import CollectionInfo, EmbedderIdentity, Ids, Prepared, StoredDocument, Version
from rag.types import Document, Filter, Heading

REMEMBERED_FILTERS = 8
"""A filter over a million documents takes about a second, and people ask several questions under one filter."""


class Documents:
    """
    The collections and documents of one database; safe to use from several threads.

    Attributes:
        deletions: how often this process has deleted or replaced something.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self.deletions = 0
        self._removed: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)  # one entry a change
        self._counts: dict[int, tuple[int, int, int]] = {}
        self._rows = lru_cache(maxsize=REMEMBERED_FILTERS)(self._select)

    # Collections

    def collections(self) -> list[CollectionInfo]:
        """Return every collection, by name."""
        sql = """
            SELECT c.id, c.name, e.name, e.weights_hash, e.dim, c.settings
            FROM collections c JOIN embedders e ON e.id = c.embedder_id WHERE c.replaces IS NULL ORDER BY c.name
        """
        with self._db.reading() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
            return [
                CollectionInfo(row, name, EmbedderIdentity(*made_by), *self._counted(connection, row), json.loads(own))
                for row, name, *made_by, own in rows
            ]

    def _counted(self, connection: apsw.Connection, collection_id: int) -> tuple[int, int]:
        """Return how many documents and chunks there are; a million are counted once a change, not at every call."""
        changes = self.changes(collection_id)
        counts = self._counts.get(collection_id, (-1, 0, 0))
        if counts[0] != changes:
            sql = "SELECT count(*) FROM {} WHERE collection_id = ?"
            documents, chunks = (
                int(connection.execute(sql.format(table), (collection_id,)).get) for table in ("documents", "chunks")
            )
            self._counts[collection_id] = counts = changes, documents, chunks
        return counts[1:]

    def collection(self, name: str) -> CollectionInfo:
        """
        Return one collection.

        Raises:
            InputError: there is none of that name.
        """
        known = self.collections()
        for info in known:
            if info.name == name:
                return info
        names = ", ".join(info.name for info in known) or "none yet"
        raise InputError(
            f"there is no collection {name!r} (existing: {names}); "
            f"make it with `python -m rag.ingest PATH --collection {name}`."
        )

    def exists(self, collection_id: int) -> bool:
        """Tell whether a collection is still there."""
        with self._db.reading() as connection:
            return connection.execute("SELECT 1 FROM collections WHERE id = ?", (collection_id,)).fetchone() is not None

    def create_collection(self, name: str, embedder: EmbedderIdentity) -> CollectionInfo:
        """Return the collection of that name, made now with ``embedder`` if it did not exist."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO embedders (name, weights_hash, dim) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (embedder.name, embedder.weights_hash, embedder.dim),
            )
            connection.execute(
                "INSERT INTO collections (name, embedder_id, created) "
                "SELECT ?, id, ? FROM embedders WHERE weights_hash = ? ON CONFLICT DO NOTHING",
                (name, time.time(), embedder.weights_hash),
            )
        return self.collection(name)

    def set_collection_settings(self, collection_id: int, own: Mapping[str, Any]) -> None:
        """Make ``own`` the settings that this collection puts over everybody's; empty drops them."""
        with self._db.transaction() as connection:
            connection.execute("UPDATE collections SET settings = ? WHERE id = ?", (json.dumps(own), collection_id))

    def delete_collection(self, collection_id: int) -> None:
        """Remove a collection with everything in it."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM collections WHERE id = ?", (collection_id,))
        self.deletions += 1

    # Documents

    def versions(self, collection_id: int) -> dict[str, Version]:
        """Return every stored document's version, by source."""
        sql = "SELECT source, id, sha256, recipe, origin, added FROM documents WHERE collection_id = ?"
        with self._db.reading() as connection:
            return {source: Version(*rest) for source, *rest in connection.execute(sql, (collection_id,))}

    def put(self, collection_id: int, batch: Sequence[Prepared], recipe: str) -> list[int]:
        """
        Store documents, each in place of what stood under its source, in one transaction.

        Args:
            collection_id: the collection's row.
            batch: documents with chunks and vectors.
            recipe: how they were cut; a change of it makes the next ingest cut them again.

        Returns:
            The documents' rows, in the order of ``batch``. On disk when this returns.
        """
        rows: list[int] = []
        replaced: list[int] = []
        with self._db.transaction() as connection:
            for prepared in batch:
                replaced += self._delete(connection, collection_id, "source = ?", prepared.document.source)
                rows.append(self._put_one(connection, collection_id, prepared, recipe))
        self._removed[collection_id].append(tuple(replaced))
        self.deletions += len(replaced)
        return rows

    def _put_one(self, connection: apsw.Connection, collection_id: int, prepared: Prepared, recipe: str) -> int:
        document = prepared.document
        connection.execute(
            "INSERT INTO documents (collection_id, source, title, media_type, headings, page_starts, metadata, sha256,"
            " recipe, modified, origin, added, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                collection_id,
                document.source,
                document.title,
                document.media_type,
                json.dumps([asdict(heading) for heading in document.headings], ensure_ascii=False),
                json.dumps(document.page_starts),
                json.dumps(dict(document.metadata), ensure_ascii=False),
                document.sha256,
                recipe,
                document.modified,
                document.origin,
                time.time() if prepared.added is None else prepared.added,
                document.text,
            ),
        )
        document_id = connection.last_insert_rowid()
        for chunk, vector in zip(prepared.chunks, prepared.vectors, strict=True):
            place = (collection_id, document_id, chunk.start, chunk.end, chunk.page)
            words = (json.dumps(chunk.headings, ensure_ascii=False), chunk.text, chunk.table_header)
            connection.execute(
                "INSERT INTO chunks (collection_id, document_id, start, end, page, headings, text, table_header)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*place, *words),
            )
            connection.execute(
                "INSERT INTO vectors (chunk_id, vector) VALUES (?, ?)",
                (connection.last_insert_rowid(), vector.astype("<f4").tobytes()),
            )
        return document_id

    def delete_documents(self, collection_id: int, document_ids: Sequence[int]) -> int:
        """Remove documents with their chunks, vectors and grants; return how many there were."""
        which = "id IN (SELECT value FROM json_each(?))"
        with self._db.transaction() as connection:
            connection.execute(
                f"DELETE FROM grants WHERE collection_id = ?1 AND source IN (SELECT source FROM documents"  # noqa: S608
                f" WHERE collection_id = ?1 AND {which.replace('?', '?2')})",
                (collection_id, json.dumps(list(document_ids))),
            )
            removed = self._delete(connection, collection_id, which, json.dumps(list(document_ids)))
        self._removed[collection_id].append(tuple(removed))
        self.deletions += len(removed)
        return len(removed)

    def _delete(self, connection: apsw.Connection, collection_id: int, which: str, binding: str) -> list[int]:
        sql = f"DELETE FROM documents WHERE collection_id = ? AND {which} RETURNING id"  # noqa: S608 - only literals
        rows: list[tuple[Any, ...]] = connection.execute(sql, (collection_id, binding)).fetchall()
        return [row for (row,) in rows]

    def changes(self, collection_id: int) -> int:
        """Return how often this process has changed the collection; an index that saw this number is up to date."""
        return len(self._removed[collection_id])

    def removed(self, collection_id: int, since: int) -> list[int]:
        """Return the rows of the documents that were replaced or removed after the first ``since`` changes."""
        return [row for change in self._removed[collection_id][since:] for row in change]

    def documents(
        self,
        collection_id: int,
        after: str = "",
        limit: int = 100,
        contains: str = "",
        media_type: str = "",
        among: Ids | None = None,
    ) -> list[StoredDocument]:
        """Return up to ``limit`` documents behind source ``after`` that contain ``contains``, of the rows ``among``."""
        where = (
            "d.collection_id = ? AND d.source > ? AND instr(lower(d.source || ' ' || d.title), lower(?))"
            " AND ? IN ('', d.media_type) AND (?5 IS NULL OR d.id IN (SELECT value FROM json_each(?5)))"
        )
        return self._documents(where, (collection_id, after, contains, media_type, _rows(among), limit))

    def media_types(self, collection_id: int, among: Ids | None = None) -> list[str]:
        """Return the types of a collection's documents, of the rows ``among``."""
        sql = (
            "SELECT DISTINCT media_type FROM documents WHERE collection_id = ?"
            " AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2))) ORDER BY media_type"
        )
        with self._db.reading() as connection:
            return [row[0] for row in connection.execute(sql, (collection_id, _rows(among)))]

    def _documents(self, where: str, bindings: tuple[object, ...]) -> list[StoredDocument]:
        sql = f"""
            SELECT d.id, d.source, d.title, d.media_type, (SELECT count(*) FROM chunks k WHERE k.document_id = d.id),
                   length(d.text), json_array_length(d.page_starts), d.sha256, d.modified, d.added, d.metadata
            FROM documents d WHERE {where} ORDER BY d.source LIMIT ?
        """  # noqa: S608 - `where` is one of the literals above
        with self._db.reading() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql, bindings).fetchall()
        return [StoredDocument(*(*row[:-1], json.loads(row[-1]))) for row in rows]

    def read_document(self, collection_id: int, document_id: int) -> Document:
        """
        Return a whole document.

        Raises:
            InputError: the collection holds no such document.
        """
        sql = (
            "SELECT source, text, title, media_type, headings, page_starts, metadata, sha256, modified, origin"
            " FROM documents WHERE collection_id = ? AND id = ?"
        )
        with self._db.reading() as connection:
            row = connection.execute(sql, (collection_id, document_id)).fetchone()
        if row is None:
            raise InputError(f"there is no document {document_id} in this collection; list them first.")
        source, text, title, media_type, headings, page_starts, metadata, sha256, modified, origin = row
        return Document(
            source=source,
            text=text,
            title=title,
            media_type=media_type,
            headings=tuple(Heading(**heading) for heading in json.loads(headings)),
            page_starts=tuple(json.loads(page_starts)),
            metadata=json.loads(metadata),
            sha256=sha256,
            modified=modified,
            origin=origin,
        )

    def matching(self, collection_id: int, condition: Filter) -> Ids:
        """Return the rows of the documents that ``condition`` lets through, ascending."""
        conditions: list[tuple[str, Any]] = [
            ("source GLOB ?", condition.source),
            ("media_type = ?", condition.media_type),
            ("modified >= ?", condition.modified_from),
            ("modified < ?", condition.modified_before),
        ]
        where = ["collection_id = ?"]
        bindings: list[Any] = [collection_id]
        for clause, value in conditions:
            if value is not None:
                where.append(clause)
                bindings.append(value)
        for key, value in condition.metadata.items():
            where.append("json_extract(metadata, '$.' || json_quote(?)) = ?")
            bindings += [key, value]
        sql = f"SELECT id FROM documents WHERE {' AND '.join(where)} ORDER BY id"  # noqa: S608 - only literals
        return self._rows(sql, tuple(bindings), self.changes(collection_id))

    def _select(self, sql: str, bindings: tuple[object, ...], changes: int) -> Ids:
        """Read rows; ``changes`` only tells one state of the collection from the next."""
        with self._db.reading() as connection:
            rows = np.fromiter((row for (row,) in connection.execute(sql, bindings)), dtype=np.int64)
        rows.flags.writeable = False
        return rows


def _rows(among: Ids | None) -> str | None:
    return None if among is None else json.dumps(among.tolist())
