"""What a server does beside answering: it keeps collections equal to their folders, and to the configured embedder."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from models.base import HomegroundError
from rag.config import WatchedFolder
from rag.plan import Touched
from rag.report import Report
from rag.watch import Watch
from rag.workspace import Workspace

logger = logging.getLogger(__name__)

NICENESS = 10

PURGE_EVERY_S = 10.0
"""Deletions of a moment are purged at once, within twice this time after the last of them."""

END_S = 30.0
"""So long the end waits for a batch that is being embedded; what is cut off then is done again next time."""


class Upkeep:
    """
    The background work of a server, a thread for each watched folder and one for new embeddings.

    Args:
        workspace: what is worked on.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; the configured embedder is loaded."""
        self._begin(self._reembed)
        self._begin(self._purge)
        for folder in self._workspace.settings.watch:
            self._begin(partial(self._watch, folder))

    def stop(self) -> None:
        """End with the batch at hand; the rest is done when the server runs again."""
        self._stop.set()
        for thread in self._threads:
            thread.join(END_S)

    def _begin(self, work: Callable[[], None]) -> None:
        def run() -> None:
            _give_way()
            try:
                with suppress(_Stopped):
                    work()
            except HomegroundError as error:
                logger.error("%s", error)

        thread = threading.Thread(target=run, name="upkeep", daemon=True)
        thread.start()
        self._threads.append(thread)

    def _go_on(self, report: Report) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _reembed(self) -> None:
        """Give every collection the configured embedder; each is searched with its own until that is done."""
        configured = self._workspace.models.embedder
        for info in self._workspace.collections():
            if info.embedder.weights_hash == configured.weights_hash:
                self._workspace.store.successors.drop(info)
                continue
            logger.info("%s is embedded again, with %s in place of %s", info.name, configured.name, info.embedder.name)
            try:
                self._workspace.reembed(info.name, on_progress=self._go_on)
            except HomegroundError as error:
                logger.error("%s keeps its embedder: %s", info.name, error)

    def _purge(self) -> None:
        """Once nothing was deleted for some seconds, take what was from everywhere else."""
        seen = done = self._workspace.store.documents.deletions
        while not self._stop.wait(PURGE_EVERY_S):
            now = self._workspace.store.documents.deletions
            if now == seen != done:
                self._workspace.purge()
                done = now
            seen = now

    def _watch(self, watched: WatchedFolder) -> None:
        name = watched.collection or self._workspace.settings.collection

        def sync(folders: Sequence[Path], touched: Touched) -> Report:
            return self._workspace.collection(name, create=True).add(
                *folders,
                include=watched.include,
                exclude=watched.exclude,
                sync=True,
                touched=touched,
                on_progress=self._go_on,
            )

        Watch([watched.folder], sync).run(lambda report: _log(name, report), self._stop)


def _give_way() -> None:
    """
    Leave the cores to whoever asks a question, where threads have priorities of their own (on Linux).

    Measured on two busy cores: beside the embedding of documents, 95 % of the questions were embedded within 160 to 220
    ms without this, and within 60 to 75 ms with it. What the thread starts (OpenMP's threads, reading processes)
    inherits it.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class _Stopped(Exception):  # noqa: N818 - nothing is wrong
    """The server ends."""


def _log(name: str, report: Report) -> None:
    logger.info("%s: %s, %.1f s", name, report, report.seconds)
    for problem in report.errors:
        logger.warning("%s: %s %s", name, problem.source, problem.error)
