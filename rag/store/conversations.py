"""
Conversations: what was asked on the page, and what came of it; each belongs to one scope and is seen by no other.

A comparison is kept as a conversation whose turns are its arms: the same question, asked of each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from models.base import InputError
from rag.store.database import Database
from rag.store.records import Conversation, StoredTurn

MAX_TITLE_CHARACTERS = 200

_CONVERSATION = (
    "SELECT c.id, c.scope, c.kind, c.title, c.created, c.changed,"
    " (SELECT count(*) FROM turns t WHERE t.conversation_id = c.id), c.vote FROM conversations c"
)
_TURN = "SELECT id, conversation_id, question, collection, adapter, state, text, created, result FROM turns"


class Conversations:
    """The conversations of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def create(self, scope: str, kind: str, title: str = "") -> Conversation:
        """Make an empty conversation; ``kind`` is ``chat`` or ``comparison``."""
        now = time.time()
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO conversations (scope, kind, title, created, changed) VALUES (?, ?, ?, ?, ?)",
                (scope, kind, title[:MAX_TITLE_CHARACTERS], now, now),
            )
            row = connection.last_insert_rowid()
        return self.get(scope, row)

    def get(self, scope: str, conversation_id: int) -> Conversation:
        """
        Return one conversation.

        Raises:
            InputError: the scope has no such conversation.
        """
        with self._db.reading() as connection:
            row = connection.execute(
                f"{_CONVERSATION} WHERE c.scope = ? AND c.id = ?", (scope, conversation_id)
            ).fetchone()
        if row is None:
            raise InputError(f"there is no conversation {conversation_id}.")
        return _conversation(row)

    def find(self, scope: str, kind: str, *, contains: str = "", skip: int = 0, limit: int = 50) -> list[Conversation]:
        """Return a scope's conversations, the last changed first, whose title or turns contain ``contains``."""
        sql = f"""
            {_CONVERSATION} WHERE c.scope = ? AND c.kind = ? AND (? = '' OR instr(lower(c.title), lower(?))
            OR EXISTS (SELECT 1 FROM turns t WHERE t.conversation_id = c.id
                       AND instr(lower(t.question || char(10) || t.text), lower(?))))
            ORDER BY c.changed DESC, c.id DESC LIMIT ? OFFSET ?
        """  # noqa: S608 - only literals
        with self._db.reading() as connection:
            rows: Sequence[Any] = connection.execute(
                sql, (scope, kind, contains, contains, contains, limit, skip)
            ).fetchall()
        return [_conversation(row) for row in rows]

    def rename(self, conversation_id: int, title: str) -> None:
        """Give a conversation another title."""
        with self._db.transaction() as connection:
            connection.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation_id))

    def vote(self, conversation_id: int, vote: Mapping[str, Any]) -> None:
        """Record what somebody thought of a comparison's arms, in place of an earlier vote."""
        with self._db.transaction() as connection:
            connection.execute("UPDATE conversations SET vote = ? WHERE id = ?", (_json(vote), conversation_id))

    def delete(self, conversation_id: int) -> None:
        """Remove a conversation with its turns."""
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))

    def turns(self, conversation_id: int) -> list[StoredTurn]:
        """Return a conversation's turns, the oldest first."""
        with self._db.reading() as connection:
            rows = connection.execute(f"{_TURN} WHERE conversation_id = ? ORDER BY id", (conversation_id,)).fetchall()
        return [_turn(row) for row in rows]

    def turn(self, scope: str, turn_id: int) -> StoredTurn:
        """
        Return one turn.

        Raises:
            InputError: the scope has no such turn.
        """
        sql = f"{_TURN} WHERE id = ? AND conversation_id IN (SELECT id FROM conversations WHERE scope = ?)"  # noqa: S608
        with self._db.reading() as connection:
            row = connection.execute(sql, (turn_id, scope)).fetchone()
        if row is None:
            raise InputError(f"there is no turn {turn_id}.")
        return _turn(row)

    def add_turn(
        self, conversation_id: int, question: str, collection: str | None, adapter: str | None, replaces: int | None
    ) -> int:
        """
        Append a turn that is being answered, and return its row.

        Args:
            conversation_id: the conversation; one without a title is called as its first question.
            question: what is asked.
            collection: where answers are looked for; None asks the model alone.
            adapter: name of an adapter, or None for what the settings say.
            replaces: a turn that is removed first, with all behind it.
        """
        now = time.time()
        with self._db.transaction() as connection:
            if replaces is not None:
                connection.execute(
                    "DELETE FROM turns WHERE conversation_id = ? AND id >= ?", (conversation_id, replaces)
                )
            connection.execute(
                "INSERT INTO turns (conversation_id, question, collection, adapter, state, created)"
                " VALUES (?, ?, ?, ?, 'running', ?)",
                (conversation_id, question, collection, adapter, now),
            )
            row = connection.last_insert_rowid()
            title = " ".join(question.split())[:MAX_TITLE_CHARACTERS]
            connection.execute(
                "UPDATE conversations SET changed = ?, title = iif(title = '', ?, title) WHERE id = ?",
                (now, title, conversation_id),
            )
        return row

    def write_turn(self, turn_id: int, state: str, text: str, result: Mapping[str, Any] | None = None) -> None:
        """Record what a turn has come to; one that was removed meanwhile stays removed."""
        with self._db.transaction() as connection:
            connection.execute(
                "UPDATE turns SET state = ?, text = ?, result = ? WHERE id = ?", (state, text, _json(result), turn_id)
            )

    def forget(self, collection: str, documents: Sequence[str]) -> None:
        """Take out what was answered, or quoted, from documents that were deleted; the questions stay."""
        sql = (
            "UPDATE turns SET text = '', state = 'failed', result = ? WHERE collection = ? AND result != 'null'"
            " AND EXISTS (SELECT 1 FROM json_each(turns.result, '$.hits') h JOIN json_each(?) gone"
            " ON gone.value = json_extract(h.value, '$.source'))"
        )
        message = "This answer was made from a document that has been deleted."
        removed = {"error": {"message": message, "code": "document_deleted"}}
        with self._db.transaction() as connection:
            connection.execute(sql, (_json(removed), collection, json.dumps(list(documents))))

    def interrupt_running(self) -> None:
        """Call every running turn interrupted: whoever answered them is gone."""
        with self._db.transaction() as connection:
            connection.execute("UPDATE turns SET state = 'interrupted' WHERE state = 'running'")


def _conversation(row: tuple[Any, ...]) -> Conversation:
    return Conversation(*(*row[:-1], json.loads(row[-1])))


def _turn(row: tuple[Any, ...]) -> StoredTurn:
    return StoredTurn(*(*row[:-1], json.loads(row[-1])))


def _json(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, ensure_ascii=False)
