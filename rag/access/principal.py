"""Who asks, and how much somebody may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Level(IntEnum):
    """How much somebody may do with a collection or a document; each level holds the ones before."""

    NONE = 0
    READ = 1
    """Search, ask, and read sources."""
    WRITE = 2
    """Put documents in, replace and delete them."""
    MANAGE = 3
    """Give rights to others, and delete the collection."""


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who asks, by which credential.

    Attributes:
        name: tells principals apart: each gets its fair share of the generator, and sees no other's prompts in a cache.
            ``page`` and ``program`` are whoever holds the terminal; a user is ``user:NAME``.
        by_cookie: True when a browser sent the credentials by itself, so that the request's origin must be checked.
        user_id: the user's row; None for whoever holds the terminal, who may do everything.
        is_admin: may manage users, groups, keys, and everybody's grants.
        level: the most that this credential may do, whatever its user may.
        collections: the only ones that this credential reaches; None for all.
        credential: what it was recognised by: a hash, which tells nothing of the secret.
    """

    name: str
    by_cookie: bool
    user_id: int | None = None
    is_admin: bool = True
    level: Level = Level.MANAGE
    collections: frozenset[str] | None = None
    credential: bytes = field(default=b"", compare=False, repr=False)

    @property
    def shown(self) -> str:
        """The name for people and for the access log."""
        return "operator" if self.user_id is None else shown(self.name)


def shown(name: str) -> str:
    """Return a principal's name as people know it: a user's without its kind."""
    return name.removeprefix("user:")
