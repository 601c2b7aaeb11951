"""What tuning says: one object for programs, a table for people."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rag.evaluate.compare import PRIMARY
from rag.evaluate.report import compared_object
from rag.evaluate.statistics import interval
from rag.tune.candidates import described
from rag.tune.choose import Outcome
from rag.tune.trials import Trial

SECONDARY = "recall@10"


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return what was tried and found as an object."""
    default = outcome.trials[0].candidate
    return {
        "questions": outcome.questions,
        "candidates": [_trial_object(trial, trial.candidate.changes(default)) for trial in outcome.trials],
        "best": outcome.best.candidate.changes(default),
        "held_out": compared_object(outcome.held_out),
        "gain": outcome.is_gain,
        "conclusion": outcome.conclusion(),
    }


def outcome_table(outcome: Outcome) -> Table:
    """Lay out every candidate on the tuning half; the best stands out."""
    table = Table("settings", f"{PRIMARY} (95 % interval)", SECONDARY, "search, ms", "chunks", "to index, s")
    default = outcome.trials[0].candidate
    for trial in outcome.trials:
        found = _trial_object(trial, {})
        low, high = found["interval"]
        table.add_row(
            described(trial.candidate.changes(default)),
            f"{found[PRIMARY]:.3f} ({low:.2f}–{high:.2f})",
            f"{found[SECONDARY]:.3f}",
            f"{found['search_ms']:.1f}",
            f"{found['chunks']}",
            f"{found['ingest_s']:.0f}",
            style="bold" if trial is outcome.best else None,
        )
    return table


def _trial_object(trial: Trial, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "settings": changes,
        PRIMARY: trial.means[PRIMARY],
        "interval": list(interval([row[PRIMARY] for row in trial.scores.values()])),
        SECONDARY: trial.means[SECONDARY],
        "search_ms": trial.search_ms,
        "chunks": trial.chunks,
        "ingest_s": trial.ingest_s,
    }
