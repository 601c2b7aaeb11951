"""
Keep a collection equal to its folders: everything once, then whatever the system says has changed.

A folder that is not there is left alone, with all that was indexed of it: a disk that is not mounted is no reason to
forget its documents. An unmounted disk may also leave an empty folder, so an empty one counts as missing unless this
very folder was seen with something in it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import watchfiles

from models.base import HomegroundError, InputError
from rag.load.files import identity, is_wanted
from rag.plan import Touched, everything
from rag.report import Report

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""So often it looks whether the folders are there, and whether it is to end."""

QUIET_MS, LONGEST_MS = 500, 5_000
"""Changes are taken in once nothing has changed for the first time, or after the second: a copy comes in pieces."""

SWEEP_S = 3_600.0
"""So often all files are looked at, because network drives and lost events report nothing."""

RETRY_S = 60.0
"""So long after a failure everything is looked at again."""

_Present = Mapping[Path, tuple[int, int]]


class Watch:
    """
    Watches folders and syncs what changes in them.

    Args:
        folders: the folders.
        sync: makes the collection equal to the folders it is given, looking only at the files that may have changed.

    Raises:
        InputError: one of them is a file.
    """

    def __init__(self, folders: Sequence[Path], sync: Callable[[Sequence[Path], Touched], Report]) -> None:
        for folder in folders:
            if folder.is_file():
                raise InputError(
                    f"{folder} is a file, and only folders can be watched; give its folder with --include."
                )
        self._folders = [folder.absolute() for folder in folders]
        self._sync = sync
        self._seen_full: dict[Path, tuple[int, int]] = {}
        self._missing: set[Path] = set()
        self._due = 0.0

    def run(self, on_report: Callable[[Report], None], stop: threading.Event) -> None:
        """
        Sync now and after every change, until ``stop`` is set.

        Args:
            on_report: called after the first sync of all files, and after each one that changed something or failed.
            stop: ends it.

        Raises:
            InputError: the system cannot watch so many folders.
        """
        while not stop.is_set():
            if present := self._present():
                self._watch(present, on_report, stop)
            else:
                stop.wait(LOOK_S)

    def _watch(self, present: _Present, on_report: Callable[[Report], None], stop: threading.Event) -> None:
        """Watch as long as the same folders are there; begin with a look at everything."""
        self._due = 0.0
        for changed in _changes(present, stop):
            if self._present() != present:
                return
            if changed or time.monotonic() >= self._due:
                self._look(changed, present, on_report)

    def _look(self, changed: set[Path], present: _Present, on_report: Callable[[Report], None]) -> None:
        sweep = time.monotonic() >= self._due
        first = self._due == 0
        try:
            report = self._sync(list(present), everything if sweep else lambda path: _is_below(path, changed))
        except HomegroundError as error:
            logger.error("%s Trying again in %.0f s.", error, RETRY_S)
            self._due = time.monotonic() + RETRY_S
            return
        if sweep:
            self._due = time.monotonic() + SWEEP_S
        if first or report.changed_anything:
            on_report(report)

    def _present(self) -> _Present:
        """Return the folders that are there, resolved, each with what tells it from another in its place."""
        present = {}
        for folder in self._folders:
            place = folder.resolve()
            if (found := identity(place)) and (self._seen_full.get(folder) == found or _holds_something(place)):
                self._seen_full[folder] = present[place] = found
                if folder in self._missing:
                    self._missing.remove(folder)
                    logger.warning("%s is back", folder)
            elif folder not in self._missing:
                self._missing.add(folder)
                logger.warning("%s is not there, or empty; waiting for it. What is indexed of it stays.", folder)
        return present


def _changes(folders: _Present, stop: threading.Event) -> Iterator[set[Path]]:
    """Yield what has changed below some folders; nothing, too, so that the caller can look around now and then."""
    try:
        for changes in watchfiles.watch(
            *folders,
            watch_filter=lambda _, path: _concerns(Path(path), folders),
            debounce=LONGEST_MS,
            step=QUIET_MS,
            rust_timeout=round(LOOK_S * 1000),
            yield_on_timeout=True,
            stop_event=stop,
            ignore_permission_denied=True,
        ):
            yield {Path(path) for _, path in changes}
    except FileNotFoundError:  # a folder went a moment ago; the caller will see
        return
    except OSError as error:
        raise InputError(
            f"{', '.join(map(str, folders))} cannot be watched: {error}. Watch fewer folders, or raise the system's "
            "limit (on Linux fs.inotify.max_user_watches)."
        ) from error


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _concerns(path: Path, roots: _Present) -> bool:
    """Tell whether a path is one that could be indexed: below a root, and nothing hidden on the way."""
    return any(
        path.is_relative_to(root)
        and all(is_wanted(step) for step in (path, *path.parents) if step.is_relative_to(root) and step != root)
        for root in roots
    )


def _is_below(path: Path, changed: set[Path]) -> bool:
    """Tell whether a file or a folder that it is in has changed."""
    return path in changed or not changed.isdisjoint(path.parents)
