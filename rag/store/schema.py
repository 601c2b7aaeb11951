"""
The tables of the store, as numbered migrations.

A migration runs in the same transaction that records it, so a crash leaves the file at the version before or the
version after. A file of a newer version than this code knows is refused, never guessed at.
"""

from __future__ import annotations

import apsw

from models.base import StoreError

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE embedders (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        weights_hash TEXT NOT NULL UNIQUE,
        dim INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        embedder_id INTEGER NOT NULL REFERENCES embedders(id),
        created REAL NOT NULL
    ) STRICT;
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
        source TEXT NOT NULL,
        title TEXT NOT NULL,
        media_type TEXT NOT NULL,
        headings TEXT NOT NULL,
        page_starts TEXT NOT NULL,
        metadata TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        recipe TEXT NOT NULL,
        modified REAL NOT NULL,
        origin TEXT NOT NULL,
        added REAL NOT NULL,
        text TEXT NOT NULL,
        UNIQUE (collection_id, source)
    ) STRICT;
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
        document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        page INTEGER,
        headings TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX chunks_by_document ON chunks(document_id);
    CREATE INDEX chunks_by_collection ON chunks(collection_id, id, document_id);
    CREATE TABLE vectors (
        chunk_id INTEGER PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE,
        vector BLOB NOT NULL
    ) STRICT;
    CREATE TABLE indexes (
        collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        directory TEXT NOT NULL,
        files TEXT NOT NULL,
        through INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        detail TEXT NOT NULL,
        PRIMARY KEY (collection_id, kind)
    ) STRICT;
    """,
    """
    ALTER TABLE chunks ADD COLUMN table_header TEXT NOT NULL DEFAULT '';
    ALTER TABLE collections ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE collections ADD COLUMN replaces INTEGER REFERENCES collections(id) ON DELETE CASCADE;
    """,
    """
    CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        password TEXT NOT NULL,
        is_admin INTEGER NOT NULL,
        is_suspended INTEGER NOT NULL,
        sessions_from REAL NOT NULL,
        created REAL NOT NULL
    ) STRICT;
    CREATE TABLE groups (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE members (
        group_id INTEGER NOT NULL REFERENCES groups(id) ON DELETE CASCADE,
        user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        PRIMARY KEY (group_id, user_id)
    ) STRICT;
    CREATE TABLE keys (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
        digest BLOB NOT NULL UNIQUE,
        label TEXT NOT NULL,
        level INTEGER NOT NULL,
        collections TEXT,
        created REAL NOT NULL,
        expires REAL
    ) STRICT;
    CREATE TABLE grants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
        source TEXT NOT NULL,
        user_id INTEGER REFERENCES users(id) ON DELETE CASCADE,
        group_id INTEGER REFERENCES groups(id) ON DELETE CASCADE,
        level INTEGER NOT NULL,
        CHECK ((user_id IS NULL) <> (group_id IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX grants_once ON grants(collection_id, source, ifnull(user_id, 0), ifnull(group_id, 0));
    CREATE TABLE accesses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        collection TEXT NOT NULL,
        documents TEXT NOT NULL,
        text TEXT NOT NULL
    ) STRICT;
    CREATE INDEX accesses_by_time ON accesses(at);
    """,
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        scope TEXT NOT NULL,
        kind TEXT NOT NULL,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        changed REAL NOT NULL,
        vote TEXT NOT NULL DEFAULT 'null'
    ) STRICT;
    CREATE INDEX conversations_by_scope ON conversations(scope, kind, changed);
    CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
        question TEXT NOT NULL,
        collection TEXT,
        adapter TEXT,
        state TEXT NOT NULL,
        text TEXT NOT NULL DEFAULT '',
        result TEXT NOT NULL DEFAULT 'null',
        created REAL NOT NULL
    ) STRICT;
    CREATE INDEX turns_by_conversation ON turns(conversation_id);
    CREATE TABLE syncs (
        collection_id INTEGER PRIMARY KEY REFERENCES collections(id) ON DELETE CASCADE,
        finished REAL NOT NULL,
        report TEXT NOT NULL
    ) STRICT;
    """,
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        title TEXT NOT NULL,
        collection TEXT NOT NULL,
        settings TEXT NOT NULL,
        state TEXT NOT NULL,
        result TEXT NOT NULL DEFAULT 'null',
        failure TEXT NOT NULL DEFAULT '',
        created REAL NOT NULL,
        started REAL,
        ended REAL
    ) STRICT;
    CREATE INDEX runs_by_collection ON runs(collection);
    CREATE TABLE question_sets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        collection TEXT NOT NULL,
        name TEXT NOT NULL,
        created REAL NOT NULL,
        UNIQUE (collection, name)
    ) STRICT;
    CREATE TABLE questions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        set_id INTEGER NOT NULL REFERENCES question_sets(id) ON DELETE CASCADE,
        row TEXT NOT NULL
    ) STRICT;
    CREATE INDEX questions_by_set ON questions(set_id);
    CREATE TABLE cases (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
        failed INTEGER NOT NULL,
        row TEXT NOT NULL
    ) STRICT;
    CREATE INDEX cases_by_run ON cases(run_id, failed);
    """,
)


def migrate(connection: apsw.Connection) -> None:
    """
    Bring the file to the newest version, one migration a transaction.

    Raises:
        StoreError: the file was written by a newer version of Homeground.
    """
    version = connection.pragma("user_version")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{connection.filename} has schema version {version}, but this Homeground knows up to {len(MIGRATIONS)}; "
            "upgrade Homeground, or choose another --data-dir."
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT")
