"""What is asked of a collection to measure it, and what came of each question in each evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.base import InputError
from rag.store.database import Database
from rag.store.records import QuestionSet

_SET = (
    "SELECT s.id, s.collection, s.name, s.created, (SELECT count(*) FROM questions q WHERE q.set_id = s.id)"
    " FROM question_sets s"
)


class Evaluations:
    """Question sets and cases of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def put_set(self, collection: str, name: str, rows: Sequence[Mapping[str, Any]]) -> QuestionSet:
        """Keep questions under a name; those that stood under it before go."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM question_sets WHERE collection = ? AND name = ?", (collection, name))
            connection.execute(
                "INSERT INTO question_sets (collection, name, created) VALUES (?, ?, ?)",
                (collection, name, time.time()),
            )
            row = connection.last_insert_rowid()
            connection.executemany(
                "INSERT INTO questions (set_id, row) VALUES (?, ?)",
                [(row, json.dumps(one, ensure_ascii=False)) for one in rows],
            )
        return self.get_set(row)

    def get_set(self, set_id: int) -> QuestionSet:
        """
        Return what is known of a question set.

        Raises:
            InputError: there is none of that number.
        """
        with self._db.reading() as connection:
            row = connection.execute(f"{_SET} WHERE s.id = ?", (set_id,)).fetchone()
        if row is None:
            raise InputError(f"there is no question set {set_id}.")
        return _set(row)

    def sets(self, collection: str) -> list[QuestionSet]:
        """Return a collection's question sets, by name."""
        with self._db.reading() as connection:
            rows = connection.execute(f"{_SET} WHERE s.collection = ? ORDER BY s.name", (collection,)).fetchall()
        return [_set(row) for row in rows]

    def questions(self, set_id: int) -> list[dict[str, Any]]:
        """Return the questions of a set as they came."""
        sql = "SELECT row FROM questions WHERE set_id = ? ORDER BY id"
        with self._db.reading() as connection:
            return [json.loads(row) for (row,) in connection.execute(sql, (set_id,))]

    def delete_set(self, set_id: int) -> None:
        """Remove a question set; what was measured with it stays."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM question_sets WHERE id = ?", (set_id,))

    def put_cases(self, run_id: int, cases: Sequence[Mapping[str, Any]]) -> None:
        """Keep what came of an evaluation's questions in place of what was kept of it; ``failed`` goes first."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM cases WHERE run_id = ?", (run_id,))
            connection.executemany(
                "INSERT INTO cases (run_id, failed, row) VALUES (?, ?, ?)",
                [(run_id, bool(one["failed"]), json.dumps(one, ensure_ascii=False)) for one in cases],
            )

    def cases(self, run_id: int, *, failed_only: bool, skip: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of an evaluation's cases, failures first."""
        sql = "SELECT row FROM cases WHERE run_id = ? AND failed >= ? ORDER BY failed DESC, id LIMIT ? OFFSET ?"
        with self._db.reading() as connection:
            return [json.loads(row) for (row,) in connection.execute(sql, (run_id, failed_only, limit, skip))]

    def forget(self, collection: str, source: str) -> None:
        """Take out what is known of a document that was deleted: questions about it, and what was said from it."""
        asked = (
            "DELETE FROM questions WHERE set_id IN (SELECT id FROM question_sets WHERE collection = ?)"
            " AND EXISTS (SELECT 1 FROM json_each(questions.row, '$.evidence') e"
            " WHERE json_extract(e.value, '$.source') = ?)"
        )
        came = (
            "DELETE FROM cases WHERE run_id IN (SELECT id FROM runs WHERE collection = ?)"
            " AND EXISTS (SELECT 1 FROM json_each(cases.row, '$.sources') s WHERE s.value = ?)"
        )
        with self._db.transaction() as connection:
            for sql in (asked, came):
                connection.execute(sql, (collection, source))

    def forget_collection(self, collection: str) -> None:
        """Remove question sets and evaluations of a collection that was deleted: its name may come again."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM question_sets WHERE collection = ?", (collection,))
            connection.execute("DELETE FROM runs WHERE collection = ? AND kind = 'evaluation'", (collection,))


def _set(row: tuple[Any, ...]) -> QuestionSet:
    return QuestionSet(*row)
