"""What searching reads: chunks, vectors, and where the derived indexes lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from models.base import InputError, Vectors
from rag.store.database import Database
from rag.store.records import BARE, Ids, IndexRecord, Roster
from rag.types import Chunk, Hit, Scored

_SEARCHED = (
    "SELECT k.id, d.title, d.recipe, k.start, k.end, k.text, k.headings, k.page, k.table_header FROM chunks k"
    " JOIN documents d ON d.id = k.document_id"
)


class Passages:
    """The chunks of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def roster(self, collection_id: int, after: int = 0) -> Roster:
        """Return the rows of the chunks of a collection, from behind ``after``, and of their documents."""
        sql = "SELECT id, document_id FROM chunks WHERE collection_id = ? AND id > ? ORDER BY id"
        with self._db.reading() as connection:
            numbers = chain.from_iterable(connection.execute(sql, (collection_id, after)))
            rows = np.fromiter(numbers, dtype=np.int64).reshape(-1, 2)
        return Roster(np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]))

    def vectors(self, chunk_ids: Ids, dim: int) -> Vectors:
        """
        Return the vectors of chunks in the order asked for, float32, shape ``(len(chunk_ids), dim)``.

        A chunk that was deleted meanwhile gets zeros; :meth:`hits` leaves it out.
        """
        sql = "SELECT chunk_id, vector FROM vectors WHERE chunk_id IN (SELECT value FROM json_each(?))"
        with self._db.reading() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql, (json.dumps(chunk_ids.tolist()),)).fetchall()
        found: dict[int, bytes] = dict(rows)
        gone = bytes(4 * dim)
        joined = b"".join(found.get(chunk_id, gone) for chunk_id in chunk_ids.tolist())
        return np.frombuffer(joined, dtype="<f4").reshape(len(chunk_ids), dim).astype(np.float32, copy=False)

    def vectors_between(
        self, collection_id: int, after: int, through: int, size: int = 20_000
    ) -> Iterator[tuple[Ids, Vectors]]:
        """Yield the chunk rows in ``(after, through]`` with their vectors, in blocks of up to ``size`` rows."""
        sql = (
            "SELECT k.id, v.vector FROM chunks k JOIN vectors v ON v.chunk_id = k.id"
            " WHERE k.collection_id = ? AND k.id > ? AND k.id <= ? ORDER BY k.id"
        )
        for rows in self._blocks(sql, (collection_id, after, through), size):
            ids = np.array([row[0] for row in rows], dtype=np.int64)
            joined = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f4")
            yield ids, joined.reshape(len(ids), -1).astype(np.float32, copy=False)

    def of_document(self, document_id: int) -> tuple[list[Chunk], Vectors]:
        """
        Return a document's chunks in order, and their vectors, float32, shape ``(n_chunks, dim)``.

        Raises:
            InputError: there is no such document.
        """
        sql = (
            "SELECT v.vector, k.start, k.end, k.text, k.headings, k.page, k.table_header FROM chunks k"
            " JOIN vectors v ON v.chunk_id = k.id WHERE k.document_id = ? ORDER BY k.id"
        )
        with self._db.reading() as connection:
            rows: list[tuple[Any, ...]] = connection.execute(sql, (document_id,)).fetchall()
        if not rows:
            raise InputError(f"there is no document {document_id}; list them first.")
        joined = np.frombuffer(b"".join(row[0] for row in rows), dtype="<f4")
        return [_chunk(*row[1:]) for row in rows], joined.reshape(len(rows), -1).astype(np.float32, copy=False)

    def texts_between(
        self, collection_id: int, after: int, through: int, size: int = 5_000
    ) -> Iterator[list[tuple[int, str]]]:
        """Yield ``(chunk row, searched text)`` of the chunk rows in ``(after, through]``, in blocks."""
        sql = f"{_SEARCHED} WHERE k.collection_id = ? AND k.id > ? AND k.id <= ? ORDER BY k.id"
        yield from self._searched(sql, (collection_id, after, through), size)

    def _searched(self, sql: str, bindings: tuple[object, ...], size: int) -> Iterator[list[tuple[int, str]]]:
        for rows in self._blocks(sql, bindings, size):
            yield [(row[0], _chunk(*row[3:]).searched_text(row[1], prefix=not row[2].endswith(BARE))) for row in rows]

    def _blocks(self, sql: str, bindings: tuple[object, ...], size: int) -> Iterator[list[tuple[Any, ...]]]:
        with self._db.reading() as connection:
            cursor = connection.execute(sql, bindings)
            while rows := list(islice(cursor, size)):
                yield rows

    def hits(self, scored: Sequence[Scored], collection: str) -> list[Hit]:
        """Return the scored chunks as hits, in the order given; a chunk deleted meanwhile is left out."""
        sql = (
            "SELECT k.id, k.document_id, d.source, d.title, k.start, k.end, k.text, k.headings, k.page, k.table_header"
            " FROM chunks k JOIN documents d ON d.id = k.document_id"
            " WHERE k.id IN (SELECT value FROM json_each(?))"
        )
        with self._db.reading() as connection:
            wanted = json.dumps([item.chunk_id for item in scored])
            rows = {row[0]: row[1:] for row in connection.execute(sql, (wanted,))}
        return [
            Hit(
                chunk_id=item.chunk_id,
                document_id=row[0],
                source=row[1],
                title=row[2],
                chunk=_chunk(*row[3:]),
                collection=collection,
                score=item.score,
                dense=item.dense,
                lexical=item.lexical,
            )
            for item in scored
            if (row := rows.get(item.chunk_id)) is not None
        ]

    def count_among(self, collection_id: int, documents: Ids) -> tuple[int, int]:
        """Return how many of these documents the collection holds, and how many chunks they have."""
        sql = (
            "SELECT count(DISTINCT document_id), count(*) FROM chunks WHERE collection_id = ?"
            " AND document_id IN (SELECT value FROM json_each(?))"
        )
        with self._db.reading() as connection:
            bindings = (collection_id, json.dumps(documents.tolist()))
            rows: list[tuple[Any, ...]] = connection.execute(sql, bindings).fetchall()
        return rows[0][0], rows[0][1]

    def texts_of(self, rows: Ids, size: int = 5_000) -> Iterator[list[tuple[int, str]]]:
        """Yield ``(chunk row, searched text)`` of these chunk rows, ascending, in blocks."""
        sql = f"{_SEARCHED} WHERE k.id IN (SELECT value FROM json_each(?)) ORDER BY k.id"  # noqa: S608 - only literals
        for begin in range(0, len(rows), size):
            yield from self._searched(sql, (json.dumps(rows[begin : begin + size].tolist()),), size)

    def slice(self, document_id: int, start: int, end: int) -> str:
        """
        Return the characters from ``start`` to before ``end`` of a document's text.

        Raises:
            InputError: there is no such document.
        """
        sql = "SELECT substr(text, ? + 1, ? - ?) FROM documents WHERE id = ?"
        with self._db.reading() as connection:
            row = connection.execute(sql, (start, end, start, document_id)).fetchone()
        if row is None:
            raise InputError(f"there is no document {document_id}; list them first.")
        return str(row[0])

    def index_record(self, collection_id: int, kind: str) -> IndexRecord | None:
        """Return what is known of an index's files; None before its first build."""
        sql = "SELECT directory, files, through, rows, detail FROM indexes WHERE collection_id = ? AND kind = ?"
        with self._db.reading() as connection:
            row = connection.execute(sql, (collection_id, kind)).fetchone()
        if row is None:
            return None
        directory, files, through, rows, detail = row
        return IndexRecord(directory, json.loads(files), through, rows, json.loads(detail))

    def index_directories(self) -> set[str]:
        """Return the directory names of all indexes in use."""
        with self._db.reading() as connection:
            return {row[0] for row in connection.execute("SELECT directory FROM indexes")}

    def record_index(self, collection_id: int, kind: str, record: IndexRecord) -> None:
        """Make ``record`` the index of that kind."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO indexes (collection_id, kind, directory, files, through, rows, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    collection_id,
                    kind,
                    record.directory,
                    json.dumps(dict(record.files)),
                    record.through,
                    record.rows,
                    json.dumps(dict(record.detail)),
                ),
            )


def _chunk(start: int, end: int, text: str, headings: str, page: int | None, table_header: str) -> Chunk:
    return Chunk(start, end, text, tuple(json.loads(headings)), page, table_header)
