"""Which files of a folder are taken: patterns as ``.gitignore`` has them, on the path below the folder."""

from __future__ import annotations

from collections.abc import Sequence

from pathspec import GitIgnoreSpec

from models.base import InputError


class Selection:
    """
    Patterns that let files in or keep them out; without any, every file is taken.

    A pattern without a slash is looked for at every depth (``*.pdf``), one with a slash inside counts from the root
    (``reports/2024-*``), one that ends with a slash means a folder with all that is in it (``drafts/``), ``**`` stands
    for any number of folders. Within one list a later ``!pattern`` takes back what an earlier one said.

    Args:
        include: when given, only files that match are taken.
        exclude: files that match are left out, also when ``include`` lets them in; excluded folders are not walked.

    Raises:
        InputError: a pattern cannot be used.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include = _compiled(include) if include else None
        self._exclude = _compiled(exclude)

    def takes(self, source: str) -> bool:
        """Tell whether a file is taken, by its path below the root, with ``/``."""
        if self._exclude.match_file(source):
            return False
        return self._include is None or self._include.match_file(source)

    def enters(self, folder: str) -> bool:
        """Tell whether a folder may hold files that are taken."""
        return not self._exclude.match_file(f"{folder}/")


def _compiled(patterns: Sequence[str]) -> GitIgnoreSpec:
    for pattern in patterns:
        try:
            usable = any(one.include is not None for one in GitIgnoreSpec.from_lines([pattern]).patterns)
        except ValueError:
            usable = False
        if not usable:
            raise InputError(f"{pattern!r} is no pattern for files; expected one as in .gitignore, such as '*.pdf'.")
    return GitIgnoreSpec.from_lines(patterns)
