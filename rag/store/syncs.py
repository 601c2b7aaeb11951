"""What the last sync of each collection changed: the document names, as far as they fit on a page."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rag.report import Problem
from rag.store.database import Database
from rag.store.records import Version

MAX_NAMES = 200
"""Of each kind; the counts are exact."""


class Syncs:
    """The last syncs that changed anything, one for each collection; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(
        self,
        collection_id: int,
        before: Mapping[str, Version],
        stored: Sequence[tuple[str, int]],
        gone: Sequence[int],
        errors: Sequence[Problem],
    ) -> None:
        """
        Record a sync in place of the one before.

        Args:
            collection_id: the collection.
            before: what it held, by source.
            stored: source and chunks of what was read and stored.
            gone: rows of what was taken out.
            errors: what could not be read.
        """
        rows = set(gone)
        kinds: dict[str, list[Any]] = {
            "new": [source for source, _ in stored if source not in before],
            "changed": [source for source, _ in stored if source in before],
            "removed": [source for source, version in before.items() if version.document_id in rows],
            "errors": [{"source": problem.source, "error": problem.error} for problem in errors],
        }
        report = {kind: {"count": len(names), "names": names[:MAX_NAMES]} for kind, names in kinds.items()}
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO syncs (collection_id, finished, report) VALUES (?, ?, ?)",
                (collection_id, time.time(), json.dumps(report, ensure_ascii=False)),
            )

    def last(self, collection_id: int) -> dict[str, Any] | None:
        """Return what the last sync changed: for each kind ``count`` and ``names``; None if there was none."""
        sql = "SELECT finished, report FROM syncs WHERE collection_id = ?"
        with self._db.reading() as connection:
            row = connection.execute(sql, (collection_id,)).fetchone()
        if row is None:
            return None
        finished, report = row
        return {"finished": finished, **json.loads(report)}
