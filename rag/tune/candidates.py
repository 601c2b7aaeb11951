"""Which settings are tried: a small table, one row a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rag.config import ChunkSettings, RetrievalSettings, Settings


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that a collection may have of its own."""

    chunk: ChunkSettings
    retrieval: RetrievalSettings

    def over(self, settings: Settings) -> Settings:
        """Return ``settings`` with these in their place."""
        return settings.model_copy(update={"chunk": self.chunk, "retrieval": self.retrieval})

    def changes(self, default: Candidate) -> dict[str, dict[str, Any]]:
        """Return what differs from ``default``, by section and name."""
        found: dict[str, dict[str, Any]] = {}
        for section in ("chunk", "retrieval"):
            ours, theirs = getattr(self, section).model_dump(), getattr(default, section).model_dump()
            changed = {name: value for name, value in ours.items() if value != theirs[name]}
            if changed:
                found[section] = changed
        return found


def described(own: Mapping[str, Mapping[str, Any]]) -> str:
    """Write settings by section as people read them: ``size 100, dense_weight 0.9``."""
    return ", ".join(f"{name} {value}" for held in own.values() for name, value in held.items()) or "as it is"


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting and the values that are tried for it."""

    section: str
    name: str
    values: tuple[Any, ...]

    def around(self, candidate: Candidate) -> Iterator[Candidate]:
        """Yield the candidate with each other value of this setting."""
        held = getattr(candidate, self.section)
        for value in self.values:
            if value != getattr(held, self.name):
                changed = {"chunk": candidate.chunk, "retrieval": candidate.retrieval}
                yield Candidate(**changed | {self.section: held.model_copy(update={self.name: value})})


def chunk_axes(limit: int) -> tuple[Axis, ...]:
    """
    Return the settings whose every value needs the documents cut and embedded anew.

    Args:
        limit: most tokens that the embedder reads.
    """
    return (
        Axis("chunk", "size", (*(size for size in (100, 150, 200) if size < limit), limit)),
        Axis("chunk", "overlap", (0, 40)),
        Axis("chunk", "prefix", (True, False)),
    )


def retrieval_axes(*, reranker: bool) -> tuple[Axis, ...]:
    """
    Return the settings whose every value costs one search a question.

    Args:
        reranker: whether there is one.
    """
    return (
        Axis("retrieval", "dense_weight", (0.0, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)),
        Axis("retrieval", "opening_weight", (0.0, 0.25, 0.5, 0.75)),
        Axis("retrieval", "smoothing", (0.0, 0.2, 0.35, 0.5)),
        *([Axis("retrieval", "rerank", (0, 20, 50))] if reranker else []),
    )
