"""Runs: the long pieces of work that people start on the page, from the plan to what came of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from models.base import InputError
from rag.store.database import Database
from rag.store.records import StoredRun

MAX_TITLE_CHARACTERS = 200

_RUN = "SELECT id, kind, owner, title, collection, state, created, started, ended, failure, settings, result FROM runs"


class Runs:
    """The runs of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self, kind: str, owner: str, title: str, collection: str, settings: Mapping[str, Any], state: str
    ) -> StoredRun:
        """Make a run; see :class:`rag.store.records.StoredRun`."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO runs (kind, owner, title, collection, settings, state, created)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (kind, owner, title[:MAX_TITLE_CHARACTERS], collection, _json(settings), state, time.time()),
            )
            row = connection.last_insert_rowid()
        return self.get(row)

    def get(self, run_id: int) -> StoredRun:
        """
        Return one run.

        Raises:
            InputError: there is none of that number.
        """
        with self._db.reading() as connection:
            row = connection.execute(f"{_RUN} WHERE id = ?", (run_id,)).fetchone()
        if row is None:
            raise InputError(f"there is no run {run_id}.")
        return _run(row)

    def find(self, kind: str, collection: str = "", limit: int = 100) -> list[StoredRun]:
        """Return the runs of a kind, the newest first; on one collection, if one is named."""
        sql = f"{_RUN} WHERE kind = ? AND (? = '' OR collection = ?) ORDER BY id DESC LIMIT ?"
        with self._db.reading() as connection:
            rows = connection.execute(sql, (kind, collection, collection, limit)).fetchall()
        return [_run(row) for row in rows]

    def wait(self, run_id: int, state: str) -> None:
        """Note that a run waits for its turn, in ``checking`` or ``queued``; how it ended before is forgotten."""
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE runs SET state = ?, failure = '', started = NULL, ended = NULL WHERE id = ?", (state, run_id)
            )

    def begin(self, run_id: int, state: str) -> None:
        """Note that a run's turn has come."""
        with self._db.transaction() as connection:
            connection.execute("UPDATE runs SET state = ?, started = ? WHERE id = ?", (state, time.time(), run_id))

    def end(self, run_id: int, state: str, *, result: Mapping[str, Any] | None = None, failure: str = "") -> None:
        """Note how a run ended; a result of before stays where there is no new one."""
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE runs SET state = ?, ended = ?, failure = ?, result = iif(? = 'null', result, ?) WHERE id = ?",
                (state, time.time(), failure, _json(result), _json(result), run_id),
            )

    def delete(self, run_id: int) -> None:
        """Remove a run with its cases."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def interrupt_running(self) -> None:
        """Call everything that waited or ran interrupted: the process that would do it is gone."""
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE runs SET state = 'interrupted', ended = ? WHERE state IN ('checking', 'queued', 'running')",
                (time.time(),),
            )


def _run(row: tuple[Any, ...]) -> StoredRun:
    return StoredRun(*(*row[:-2], json.loads(row[-2]), json.loads(row[-1])))


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, ensure_ascii=False)
