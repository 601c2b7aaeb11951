"""
The prior: what the stated requirements speak for, with reasons, before anything is measured.

The table is the usual advice (changing facts and grounding: retrieval; form, style, jargon: fine-tuning; little money:
no training; short answers fast: fine-tuning, because it reads no passages; both needs: both). Measured figures
contradict it often enough (arXiv 2401.08406, 2312.05934), which is why the measurement decides and not this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import typer

from scripts.decide.config import Requirements

Way = Literal["base", "retrieval", "adapter", "both"]
FAST_S = 2.0
"""A limit below this counts as tight: on two cores an answer from three passages takes 1.5 to 1.8 s."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the decision table: what is asked, what was said, what it speaks for and why."""

    asked: str
    said: str
    speaks_for: Way | None
    reason: str


@dataclass(frozen=True, slots=True)
class Prior:
    """What the requirements speak for."""

    way: Way
    rows: tuple[Row, ...]

    @property
    def sentence(self) -> str:
        """The prior in one sentence."""
        names = {"base": "the model as it is", "retrieval": "retrieval", "adapter": "fine-tuning", "both": "both"}
        because = "; ".join(row.reason for row in self.rows if row.speaks_for) or "nothing asks for more"
        return f"Before measuring, the requirements speak for {names[self.way]}: {because}."


def prior(wanted: Requirements) -> Prior:
    """Return what the table says to a task's requirements."""
    rows = (_changes(wanted), _facts(wanted), _form(wanted), _budget(wanted), _latency(wanted))
    if wanted.facts and wanted.format:
        way: Way = "both"
    elif wanted.facts or (wanted.changes == "often" and not wanted.format):
        way = "retrieval"
    elif wanted.format:
        way = "adapter"
    else:
        way = next((row.speaks_for for row in rows if row.speaks_for), "base")
    return Prior(way, rows)


def _changes(wanted: Requirements) -> Row:
    asked = "How often do the facts change?"
    if wanted.changes == "often":
        reason = "facts that change often are exchanged in documents in seconds, in an adapter by training again"
        return Row(asked, "often", "retrieval", reason)
    return Row(asked, wanted.changes, None, "facts that hardly change leave both ways open")


def _facts(wanted: Requirements) -> Row:
    asked = "Must answers rest on facts that stand in documents?"
    if wanted.facts:
        return Row(asked, "yes", "retrieval", "facts are quoted from documents; an adapter makes up what it half knows")
    return Row(asked, "no", None, "nothing has to be looked up")


def _form(wanted: Requirements) -> Row:
    asked = "Is a fixed form, style or jargon required?"
    if wanted.format:
        return Row(asked, "yes", "adapter", "form and style are learnt from examples better than from instructions")
    return Row(asked, "no", None, "no form has to be learnt")


def _budget(wanted: Requirements) -> Row:
    asked = "What may building it cost?"
    if wanted.budget == "small":
        return Row(asked, "little", "retrieval", "indexing takes seconds to minutes, training minutes to hours")
    return Row(asked, wanted.budget, None, "training can be paid for")


def _latency(wanted: Requirements) -> Row:
    asked = "How fast must an answer be?"
    if wanted.latency_s is None:
        return Row(asked, "no limit", None, "reading passages is affordable")
    said = f"within {wanted.latency_s:g} s"
    if wanted.latency_s < FAST_S:
        return Row(asked, said, "adapter", "passages make prompts long, and reading them takes most of the time")
    return Row(asked, said, None, "there is time to read passages")


def ask(known: Requirements) -> Requirements:
    """Put the requirements as questions in the terminal; Enter keeps what the settings say."""
    changes = _choose(
        "How often do the facts that answers need change?", known.changes, ("never", "sometimes", "often")
    )
    facts = typer.confirm("Must answers rest on facts that stand in documents?", default=known.facts, err=True)
    form = typer.confirm("Is a fixed output form, style or jargon required?", default=known.format, err=True)
    budget = _choose("What may building it cost?", known.budget, ("small", "medium", "large"))
    limit = typer.prompt(
        "Within how many seconds must an answer be complete (0: no limit)?", default=known.latency_s or 0.0, err=True
    )
    said = {"changes": changes, "facts": facts, "format": form, "budget": budget, "latency_s": limit or None}
    return Requirements.model_validate(said)


def _choose(question: str, default: str, choices: tuple[str, ...]) -> str:
    while True:
        said: str = typer.prompt(f"{question} ({', '.join(choices)})", default=default, err=True)
        if said.strip().lower() in choices:
            return said.strip().lower()
        typer.echo(f"expected {', '.join(choices)}", err=True)
