"""What the store holds, as frozen values: one class a table, without the SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.base import Vectors
from rag.types import Chunk, Document, MetadataValue

Ids = npt.NDArray[np.int64]

BARE = ":bare"
"""Ends the recipe of a document whose passages are searched without its title and headings."""


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """Which embedder made the vectors of a collection; vectors of two embedders are never compared."""

    name: str
    weights_hash: str
    dim: int


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection: its row, its name, what embedded it, how much it holds, and the settings that are its own."""

    id: int
    name: str
    embedder: EmbedderIdentity
    documents: int
    chunks: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of a stored document without its text: row, content's hash, how it was cut, file, when it came."""

    document_id: int
    sha256: str
    recipe: str
    origin: str
    added: float


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's row, without its text."""

    id: int
    source: str
    title: str
    media_type: str
    chunks: int
    characters: int
    pages: int
    sha256: str
    modified: float
    added: float
    metadata: Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """Where a derived index lies, the SHA-256 of each of its files, and the newest chunk that it holds."""

    directory: str
    files: Mapping[str, str]
    through: int
    rows: int
    detail: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A document ready to be stored.

    Attributes:
        vectors: of its chunks, row by row, shape ``(n_chunks, dim)``.
        added: when it came into the collection, seconds since 1970; None for now.
    """

    document: Document
    chunks: Sequence[Chunk]
    vectors: Vectors
    added: float | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """
    Which chunks a collection holds, ascending, and whose they are; two arrays of one length.

    Attributes:
        chunks: chunk rows.
        documents: the document row of each chunk.
    """

    chunks: Ids
    documents: Ids


@dataclass(frozen=True, slots=True)
class Conversation:
    """
    A conversation, or a comparison, without its turns.

    Attributes:
        scope: whose it is.
        kind: ``chat`` or ``comparison``.
        created: seconds since 1970.
        changed: when its last turn was asked, seconds since 1970.
        turns: how many there are.
        vote: what somebody thought of a comparison's arms; None before.
    """

    id: int
    scope: str
    kind: str
    title: str
    created: float
    changed: float
    turns: int
    vote: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """
    A question and what came of it.

    Attributes:
        collection: where its answer was looked for; None for the model alone.
        adapter: which adapter was asked for; None for what the settings said.
        state: ``running``, ``done``, ``stopped``, ``left`` (nobody listened any more), ``interrupted``, or ``failed``.
        text: the answer, as far as it came.
        created: seconds since 1970.
        result: of a turn that is done the answer as JSON, of one that failed the error; else None.
    """

    id: int
    conversation_id: int
    question: str
    collection: str | None
    adapter: str | None
    state: str
    text: str
    created: float
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """
    A long piece of work that somebody started on the page.

    Attributes:
        kind: ``training``, ``decision`` or ``evaluation``.
        owner: whose it is.
        title: what people call it.
        collection: what it is about; empty for none.
        state: ``checking`` and ``planned`` before somebody has agreed to a plan; ``queued``, ``running``; ``done``,
            ``failed``, ``cancelled``, ``interrupted``.
        created, started, ended: seconds since 1970.
        failure: why it failed, in a sentence.
        settings: what was asked for.
        result: what came of it; also the plan.
    """

    id: int
    kind: str
    owner: str
    title: str
    collection: str
    state: str
    created: float
    started: float | None
    ended: float | None
    failure: str
    settings: Mapping[str, Any]
    result: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions about a collection whose answers are known."""

    id: int
    collection: str
    name: str
    created: float
    questions: int
