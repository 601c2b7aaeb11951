"""What an ingest did, as a value that grows while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


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
        found: files (or stored documents) that it is about.
        documents: source and number of chunks of each document that was embedded and stored.
        reused: files stored without reading or embedding them, because their content was there under another name.
        unchanged: files that were indexed already.
        removed: documents taken out because their file is gone.
        errors: files that were not indexed, with the reason.
        warnings: files that were indexed in part.
        seconds: wall time.
    """

    found: int = 0
    documents: list[tuple[str, int]] = field(default_factory=list)
    reused: int = 0
    unchanged: int = 0
    removed: int = 0
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{len(self.documents)} documents indexed ({self.chunks} chunks), {self.reused} reused, "
            f"{self.unchanged} unchanged, {self.removed} removed, {len(self.errors)} errors"
        )

    @property
    def chunks(self) -> int:
        """Chunks embedded and stored."""
        return sum(count for _, count in self.documents)

    @property
    def done(self) -> int:
        """Files of which it is known what became of them; those that were stored are on disk."""
        return len(self.documents) + self.reused + self.unchanged + len(self.errors)

    @property
    def changed_anything(self) -> bool:
        """Whether the collection is another than before, or a file has a problem."""
        return bool(self.documents or self.reused or self.removed or self.errors)

    def as_object(self) -> dict[str, Any]:
        """Return it as the JSON object that the command prints."""
        return {
            "documents": [{"source": source, "chunks": chunks} for source, chunks in self.documents],
            "reused": self.reused,
            "unchanged": self.unchanged,
            "removed": self.removed,
            "errors": [asdict(problem) for problem in self.errors],
            "warnings": [asdict(problem) for problem in self.warnings],
            "seconds": self.seconds,
        }


OnProgress = Callable[[Report], None]
