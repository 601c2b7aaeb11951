"""Progress of an ingest on the terminal: files done and found, chunks a second, time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from rag.report import OnProgress, Report

logger = logging.getLogger(__name__)

LOG_EVERY_S = 30.0
"""Where nobody looks at a terminal, a line is logged so often."""


@contextmanager
def shown(console: Console) -> Iterator[OnProgress]:
    """Give what shows a growing report: one line, redrawn, on a terminal; now and then a line in the log elsewhere."""
    pace = _Pace()
    if not console.is_terminal:
        yield pace.log
        return
    with Progress(
        SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.description}"), console=console, transient=True
    ) as bar:
        task = bar.add_task("looking for files", total=None)
        yield lambda report: bar.update(task, description=pace(report), total=report.found, completed=report.done)


class _Pace:
    """How fast it goes, counted from where the unchanged files end: those cost nothing and would promise too much."""

    def __init__(self) -> None:
        self._since = self._logged = time.monotonic()
        self._done = 0

    def __call__(self, report: Report) -> str:
        now = time.monotonic()
        if not report.documents:
            self._since, self._done = now, report.done
        said = f"{report.done:,} of {report.found:,} files, {report.chunks:,} chunks"
        seconds, done = now - self._since, report.done - self._done
        if seconds > 0 and done > 0:
            left = timedelta(seconds=round((report.found - report.done) * seconds / done))
            said += f", {report.chunks / seconds:.0f} chunks/s, {left} left"
        return said

    def log(self, report: Report) -> None:
        """Log a line, unless the last one is fresh."""
        said = self(report)
        if time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            logger.info("%s", said)
