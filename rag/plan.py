"""What an ingest has to do: which of the files that were found are as they were, moved, copied, or have to be read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from models.base import InputError
from rag.load import Limits, Outcome, SourceFile
from rag.load.files import read_file
from rag.store.records import Version

_Content = tuple[str, str]
"""A file's SHA-256 and suffix: files that agree in both are read in the same way and hold the same."""

Touched = Callable[[Path], bool]
"""Tells whether a file may be another than when it was last looked at."""


def everything(path: Path) -> bool:
    """Say of every file that it may have changed."""
    return True


@dataclass(frozen=True, slots=True)
class Twin:
    """
    A file whose content is stored already.

    Attributes:
        modified: when the file was last changed, seconds since 1970.
        document_id: the row of a document with that content.
    """

    file: SourceFile
    modified: float
    document_id: int


class Plan:
    """
    What is to be done, growing with every file that :meth:`take` gets.

    Args:
        known: the documents of the collection, by source.
        recipe: how documents are cut now; what is stored by another one is read again.
        touched: which files may have changed since they were last looked at; the others are not opened.

    Attributes:
        unchanged: how many files are as they were.
        stored: files to store again under their own name.
        fresh: files to read, each content once, and the errors of those that cannot be.
        copies: the other files with the content of a fresh one.
    """

    def __init__(self, known: Mapping[str, Version], recipe: str, touched: Touched) -> None:
        self.unchanged = 0
        self.stored: list[Twin] = []
        self.fresh: list[SourceFile | Outcome] = []
        self.copies: list[SourceFile] = []
        self._known = known
        self._recipe = recipe
        self._touched = touched
        self._rows: dict[_Content, int] = {
            (version.sha256, _suffix(source)): version.document_id
            for source, version in known.items()
            if version.recipe == recipe and version.sha256
        }
        self._to_read: set[_Content] = set()
        self._seen: set[str] = set()
        self._unseen: list[Path] = []

    def take(self, found: SourceFile | Outcome) -> None:
        """Look at a file, and note what it is."""
        self._seen.add(found.source)
        if isinstance(found, Outcome):
            self.fresh.append(found)
            if found.unseen:
                self._unseen.append(found.unseen)
        elif not self._touched(found.path):
            self.unchanged += found.source in self._known
        else:
            try:
                self._look_at(found)
            except InputError as error:
                self.fresh.append(Outcome(found.source, error))

    def _look_at(self, file: SourceFile) -> None:
        """
        Compare a file's content with what is stored, and with what is to be read.

        Raises:
            InputError: it cannot be read, or its source belongs to another file that still exists.
        """
        version = self._known.get(file.source)
        if version is not None and version.origin:
            origin = Path(version.origin)
            if origin != file.path and origin.is_file():
                raise InputError(
                    f"would replace {origin}, which was indexed under the same name; index their common folder, "
                    "or use another --collection."
                )
        data, modified = read_file(file.path, Limits().input_bytes)
        content = hashlib.sha256(data).hexdigest(), _suffix(file.source)
        row = self._rows.get(content)
        if row is None and content in self._to_read:
            self.copies.append(file)
        elif row is None:
            self._to_read.add(content)
            self.fresh.append(file)
        elif version is not None and self._is(version, content[0], file):
            self.unchanged += 1
        else:
            self.stored.append(Twin(file, modified, row))

    def _is(self, version: Version, sha256: str, file: SourceFile) -> bool:
        stored = version.sha256, version.recipe, version.origin
        return stored == (sha256, self._recipe, str(file.path))

    def gone(self, roots: Iterable[Path]) -> list[int]:
        """
        Return the rows of the documents that came from below ``roots`` and were not met there.

        Uploads came from no folder and stay; so does what lies in a folder that could not be read this time.
        """
        below = [root.resolve() for root in roots]
        return [
            version.document_id
            for source, version in self._known.items()
            if source not in self._seen
            and version.origin
            and any(Path(version.origin).is_relative_to(root) for root in below)
            and not any(Path(version.origin).is_relative_to(folder) for folder in self._unseen)
        ]


def _suffix(source: str) -> str:
    return PurePosixPath(source).suffix.lower()
