"""Users, the groups they are in, and their API keys, as the store keeps them: hashes, never what is hashed."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from models.base import InputError
from rag.store.database import Database


@dataclass(frozen=True, slots=True)
class User:
    """
    A person.

    Attributes:
        id: the row.
        name: unique.
        password: its hash; empty for somebody who cannot sign in with one.
        is_admin: may manage users, groups, keys and grants.
        is_suspended: may do nothing, with any credential.
        sessions_from: sessions that began before this moment count no more, seconds since 1970.
        groups: their names, sorted.
    """

    id: int
    name: str
    password: str
    is_admin: bool
    is_suspended: bool
    sessions_from: float
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """
    An API key without the key.

    Attributes:
        id: the row.
        user: whose it is, by name.
        label: what it is for.
        level: the most it may do, as a number; see :class:`rag.access.Level`.
        collections: the only ones it reaches; None for all of its user's.
        created: seconds since 1970.
        expires: from then on it counts no more; None for never.
    """

    id: int
    user: str
    label: str
    level: int
    collections: tuple[str, ...] | None
    created: float
    expires: float | None


_USERS = """
    SELECT u.id, u.name, u.password, u.is_admin, u.is_suspended, u.sessions_from,
           (SELECT json_group_array(g.name ORDER BY g.name) FROM members m JOIN groups g ON g.id = m.group_id
            WHERE m.user_id = u.id)
    FROM users u
"""
_KEYS = """
    SELECT k.id, u.name, k.label, k.level, k.collections, k.created, k.expires FROM keys k JOIN users u
    ON u.id = k.user_id
"""


class People:
    """Users, groups and keys of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def users(self) -> list[User]:
        """Return every user, by name."""
        return self._users(f"{_USERS} ORDER BY u.name", ())

    def user(self, name: str) -> User | None:
        """Return the user of that name, if there is one."""
        return next(iter(self._users(f"{_USERS} WHERE u.name = ?", (name,))), None)

    def user_by_id(self, user_id: int) -> User | None:
        """Return the user of that row, if there still is one."""
        return next(iter(self._users(f"{_USERS} WHERE u.id = ?", (user_id,))), None)

    def _users(self, sql: str, bindings: tuple[object, ...]) -> list[User]:
        with self._db.reading() as connection:
            return [
                User(row, name, password, bool(is_admin), bool(is_suspended), since, tuple(json.loads(groups)))
                for row, name, password, is_admin, is_suspended, since, groups in connection.execute(sql, bindings)
            ]

    def exist(self) -> bool:
        """Tell whether there is any user."""
        with self._db.reading() as connection:
            return connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None

    def add_user(self, name: str, password: str, *, is_admin: bool) -> User:
        """
        Make a user.

        Args:
            name: free so far.
            password: its hash.
            is_admin: whether he is an administrator.

        Raises:
            InputError: the name is taken.
        """
        now = time.time()
        with self._db.transaction() as connection:
            taken = connection.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone()
            if taken:
                raise InputError(f"there is a user {name!r} already.")
            connection.execute(
                "INSERT INTO users (name, password, is_admin, is_suspended, sessions_from, created)"
                " VALUES (?, ?, ?, 0, ?, ?)",
                (name, password, int(is_admin), now, now),
            )
        found = self.user(name)
        if found is None:
            raise InputError(f"user {name!r} was removed again meanwhile.")
        return found

    def change_user(
        self,
        name: str,
        *,
        password: str | None = None,
        is_admin: bool | None = None,
        is_suspended: bool | None = None,
    ) -> None:
        """
        Change what is not None; sessions from before a new password or a suspension end.

        Raises:
            InputError: there is no such user.
        """
        with self._db.transaction() as connection:
            row = _row(connection, "users", name)
            if password is not None:
                connection.execute(
                    "UPDATE users SET password = ?, sessions_from = ? WHERE id = ?", (password, time.time(), row)
                )
            if is_admin is not None:
                connection.execute("UPDATE users SET is_admin = ? WHERE id = ?", (int(is_admin), row))
            if is_suspended is not None:
                connection.execute(
                    "UPDATE users SET is_suspended = ?, sessions_from = ? WHERE id = ?",
                    (int(is_suspended), time.time(), row),
                )

    def remove_user(self, name: str) -> None:
        """
        Remove a user with keys, memberships and grants.

        Raises:
            InputError: there is no such user.
        """
        with self._db.changing_rights() as connection:
            connection.execute("DELETE FROM users WHERE id = ?", (_row(connection, "users", name),))

    def groups(self) -> dict[str, list[str]]:
        """Return the names of every group's members, by group, both sorted."""
        sql = (
            "SELECT g.name, u.name FROM groups g LEFT JOIN members m ON m.group_id = g.id"
            " LEFT JOIN users u ON u.id = m.user_id ORDER BY g.name, u.name"
        )
        found: dict[str, list[str]] = {}
        with self._db.reading() as connection:
            for group, member in connection.execute(sql):
                found.setdefault(group, []).extend([member] if member else [])
        return found

    def set_group(self, name: str, members: Sequence[str]) -> None:
        """
        Make a group, or change who is in it.

        Raises:
            InputError: somebody named is no user; nothing is changed.
        """
        with self._db.changing_rights() as connection:
            connection.execute("INSERT INTO groups (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
            group = _row(connection, "groups", name)
            rows = [_row(connection, "users", member) for member in dict.fromkeys(members)]
            connection.execute("DELETE FROM members WHERE group_id = ?", (group,))
            connection.executemany("INSERT INTO members VALUES (?, ?)", [(group, row) for row in rows])

    def remove_group(self, name: str) -> None:
        """
        Remove a group with its grants.

        Raises:
            InputError: there is no such group.
        """
        with self._db.changing_rights() as connection:
            connection.execute("DELETE FROM groups WHERE id = ?", (_row(connection, "groups", name),))

    def keys(self, user: str | None = None) -> list[Key]:
        """Return the keys of a user, or of all, oldest first."""
        with self._db.reading() as connection:
            rows = connection.execute(f"{_KEYS} WHERE ? IS NULL OR u.name = ? ORDER BY k.id", (user, user))
            return [_key(row) for row in rows]

    def add_key(
        self, user: str, digest: bytes, label: str, level: int, collections: Sequence[str] | None, expires: float | None
    ) -> Key:
        """
        Keep a new key.

        Args:
            user: whose it is.
            digest: SHA-256 of the key.
            label: what it is for.
            level: the most it may do.
            collections: the only ones it reaches; None for all.
            expires: seconds since 1970, or None.

        Raises:
            InputError: there is no such user.
        """
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO keys (user_id, digest, label, level, collections, created, expires)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    _row(connection, "users", user),
                    digest,
                    label,
                    level,
                    None if collections is None else json.dumps(list(collections)),
                    time.time(),
                    expires,
                ),
            )
            row = connection.last_insert_rowid()
            return _key(connection.execute(f"{_KEYS} WHERE k.id = ?", (row,)).fetchall()[0])

    def key(self, digest: bytes) -> Key | None:
        """Return the key with that SHA-256, if there still is one; an index finds it, so time tells of hashes only."""
        with self._db.reading() as connection:
            row = connection.execute(f"{_KEYS} WHERE k.digest = ?", (digest,)).fetchone()
        return _key(row) if row else None

    def remove_key(self, key_id: int, user: str | None = None) -> None:
        """
        Remove a key, of this user only if one is given.

        Raises:
            InputError: there is no such key.
        """
        with self._db.transaction() as connection:
            sql = (
                "DELETE FROM keys WHERE id = ? AND (? IS NULL OR user_id = (SELECT id FROM users WHERE name = ?))"
                " RETURNING id"
            )
            if not connection.execute(sql, (key_id, user, user)).fetchall():
                raise InputError(f"there is no key {key_id}.")


def _row(connection: apsw.Connection, table: str, name: str) -> int:
    """Return the row of a user or a group."""
    row = connection.execute(f"SELECT id FROM {table} WHERE name = ?", (name,)).fetchone()  # noqa: S608 - a literal
    if row is None:
        raise InputError(f"there is no {table[:-1]} {name!r}.")
    return int(row[0])


def _key(row: tuple[Any, ...]) -> Key:
    number, user, label, level, collections, created, expires = row
    scope = None if collections is None else tuple(json.loads(collections))
    return Key(number, user, label, level, scope, created, expires)
