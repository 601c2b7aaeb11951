"""What an ingest did, as a value that grows while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be indexed, or was indexed with a reservation."""

    source: str
    error: str


@dataclass(slots=True)
class Report:
    """
    What an ingest did; grows while it runs.

    Attributes:
        documents: source and number of chunks of each document stored.
        unchanged: files that were indexed already.
        removed: documents taken out because their file is gone.
        errors: files that were not indexed, with the reason.
        warnings: files that were indexed in part.
        seconds: wall time.
    """

    documents: list[tuple[str, int]] = field(default_factory=list)
    unchanged: int = 0
    removed: int = 0
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.documents)} documents indexed ({self.chunks} chunks), {self.unchanged} unchanged, "
            f"{self.removed} removed, {len(self.errors)} errors"
        )

    @property
    def chunks(self) -> int:
        """Chunks stored."""
        return sum(count for _, count in self.documents)


OnProgress = Callable[[Report], None]
