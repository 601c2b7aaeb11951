"""What is shown of an ingest while it runs."""

from __future__ import annotations

import io
import logging

import pytest
from rich.console import Console

from rag import progress
from rag.report import Problem, Report


def test_progress_on_a_terminal_tells_files_chunks_and_the_time_left() -> None:
    written = io.StringIO()
    with progress.shown(Console(file=written, force_terminal=True, width=120)) as show:
        report = Report(found=40, unchanged=10)
        show(report)
        report.documents += [("a.md", 700), ("b.md", 500)]
        report.errors.append(Problem("c.md", "is empty."))
        show(report)
    assert "13 of 40 files, 1,200 chunks" in written.getvalue()
    assert "chunks/s" in written.getvalue()
    assert "left" in written.getvalue()


def test_progress_elsewhere_is_quiet_but_for_a_line_in_the_log_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "rag")
    written = io.StringIO()
    with progress.shown(Console(file=written)) as show:
        show(Report(found=40, unchanged=10))
        assert caplog.messages == []
        monkeypatch.setattr(progress, "LOG_EVERY_S", 0.0)
        show(Report(found=40, unchanged=11))
    assert caplog.messages == ["11 of 40 files, 0 chunks"]
    assert written.getvalue() == ""
