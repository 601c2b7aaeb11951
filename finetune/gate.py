"""
Does it help, and does it harm? Base model and adapter are compared on rows that were never trained on.

The adapter is read from its directory and verified as serving does it, so what is judged is what would be served. Every
difference is one between the same rows, with a bootstrap interval; what the sample cannot tell counts as not shown.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import bootstrap

from finetune import grounding
from finetune.batch import batches, rows_at_once
from finetune.config import GateSettings
from finetune.encode import Row
from finetune.examples import Example
from finetune.generate import PROMPTS_AT_ONCE, Generated, generate
from finetune.loss import SelectiveHead
from finetune.prepare import LEAST_ROWS
from finetune.scores import Score
from finetune.trainer import held_out_losses
from models.adapters import Adapter
from models.base import ConfigError
from models.general import GENERAL_TEXT, paragraphs
from models.lora import ResidentAdapters, verifier
from models.network import best_dtype, load_network
from models.store import Model
from models.tokenizer import ChatTokenizer

RESAMPLES = 2000
NEARLY_PERFECT = 0.95
KEPT_WITHIN = 0.02
"""From .95 on a base model is too good for an improvement to be asked of the adapter; it must be shown to keep it, but
for .02."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exam:
    """
    What both sides are asked, and what must be shown.

    Attributes:
        rows: held out; all of them are used.
        general: paragraphs of :func:`general_text`.
        settings: what must be shown.
        score: how answers are scored; None compares losses only.
    """

    rows: Sequence[Row]
    general: Sequence[Row]
    settings: GateSettings
    score: Score | None


@dataclass(frozen=True, slots=True)
class Measured:
    """
    What one side did on the held-out rows.

    Attributes:
        losses: mean nats per learnt token, one for each row.
        general: mean nats per token of each paragraph of general text, weighed by its length.
        answers: one for each row.
        scores: numbers by name, one for each row that has it, NaN elsewhere.
    """

    losses: Numbers
    general: float
    answers: list[Generated]
    scores: dict[str, Numbers]

    def means(self) -> dict[str, float]:
        """Return the mean of every number."""
        means = {"loss": float(self.losses.mean()), "general_loss": self.general, "stops": self.stops}
        return means | {name: float(np.nanmean(values)) for name, values in self.scores.items()}

    @property
    def stops(self) -> float:
        """Share of the answers that ended by themselves."""
        return float(np.mean([answer.stopped for answer in self.answers]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the gate says.

    Attributes:
        passed: whether the adapter may be served.
        reasons: why not, a sentence each.
        scores: ``before`` and ``after``, numbers by name.
        intervals: of each difference, after less before, 95 %.
        forgetting_nats: how much harder general text became to predict, per token.
        rows: what was compared, and the answers before and after.
    """

    passed: bool
    reasons: tuple[str, ...]
    scores: dict[str, dict[str, float]]
    intervals: dict[str, tuple[float, float]]
    forgetting_nats: float
    rows: tuple[tuple[Example, str, str], ...]


def judge(adapter: Adapter, exam: Exam, model: Model, tokenizer: ChatTokenizer, device: torch.device) -> Verdict:
    """
    Compare an adapter with its base model.

    Args:
        adapter: in its directory, with a manifest.
        exam: what both are asked.
        model: the base model.
        tokenizer: the model's.
        device: where to compute.

    Raises:
        ModelError: the adapter cannot be served.
    """
    bench = _Bench(exam, model, tokenizer, device)
    before = bench.measure(None)
    after = bench.measure(adapter)
    primary = exam.score.primary if exam.score else None
    return compare(before, after, [row.example for row in exam.rows], exam.settings, primary)


class _Bench:
    """The base model with everything that both sides are measured on."""

    def __init__(self, exam: Exam, model: Model, tokenizer: ChatTokenizer, device: torch.device) -> None:
        self._exam, self._tokenizer, self._device = exam, tokenizer, device
        self._network = load_network(model, best_dtype(device)).to(device)
        self._head = SelectiveHead(self._network)
        self._lora = ResidentAdapters(self._network, verifier(model, tokenizer))
        self._prompts = [tokenizer.prompt_ids(row.example.prompt) for row in exam.rows]
        longest = max(int(row.learnt.sum()) for row in exam.rows)
        self._max_tokens = exam.settings.max_tokens or longest + longest // 2 + 8

    def measure(self, adapter: Adapter | None) -> Measured:
        """Measure one side; None is the base model."""
        self._lora.activate(adapter)
        name = "base model" if adapter is None else "adapter"
        general, counts = self._losses(self._exam.general)

        def show(done: int) -> None:
            sys.stderr.write(f"gate, {name}: {done} of {len(self._exam.rows)} rows answered\n")

        longest = max(len(prompt) for prompt in self._prompts) + self._max_tokens
        at_once = min(PROMPTS_AT_ONCE, rows_at_once(longest, self._device.type))
        answers = generate(self._network, self._tokenizer, self._prompts, self._max_tokens, at_once, show)
        sums, learnt = self._losses(self._exam.rows)
        return Measured(sums / learnt, float(general.sum() / counts.sum()), answers, self._scored(answers))

    def _losses(self, rows: Sequence[Row]) -> tuple[Numbers, Numbers]:
        """Return summed nats and learnt tokens of each row, in the rows' order."""
        order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids))
        at_once = rows_at_once(max(len(row.ids) for row in rows), self._device.type)
        cut = batches([rows[number] for number in order], at_once, self._tokenizer.pad_id)
        sums, counts = held_out_losses(self._head, self._network, cut, self._device)
        back = np.argsort(order)
        return sums.double().numpy()[back], counts.double().numpy()[back]

    def _scored(self, answers: Sequence[Generated]) -> dict[str, Numbers]:
        score = self._exam.score
        found: list[dict[str, float]] = []
        for answer, row in zip(answers, self._exam.rows, strict=True):
            numbers = dict(score.measure(answer.text, row.example.answer)) if score else {}
            if row.example.sources is not None:
                numbers |= grounding.measure(answer.text, row.example)
            found.append(numbers)
        names = dict.fromkeys(name for numbers in found for name in numbers)
        return {name: np.array([numbers.get(name, np.nan) for numbers in found]) for name in names}


def compare(
    before: Measured, after: Measured, examples: Sequence[Example], settings: GateSettings, primary: str | None
) -> Verdict:
    """
    Decide.

    Args:
        before: the base model.
        after: the adapter, on the same rows.
        examples: the rows.
        settings: what must be shown.
        primary: the score that decides; without one, the loss does.
    """
    differences = {"loss": after.losses - before.losses}
    differences |= {name: after.scores[name] - before.scores[name] for name in after.scores}
    intervals = {name: interval(values[~np.isnan(values)]) for name, values in differences.items()}
    scores = {"before": before.means(), "after": after.means()}
    forgetting = after.general - before.general
    reasons = []
    if len(examples) < LEAST_ROWS:
        reasons.append(f"{len(examples)} held-out rows are too few to conclude anything; give at least {LEAST_ROWS}")
    reasons += _no_help(primary, scores, intervals)
    if forgetting > settings.max_forgetting:
        reasons.append(
            f"general text became {forgetting:.3f} nats a token harder to predict; {settings.max_forgetting:g} are "
            "allowed. Train for fewer steps, at a lower learning rate or a lower rank"
        )
    if after.stops < settings.min_stops:
        reasons.append(f"{after.stops:.1%} of the answers end by themselves; {settings.min_stops:.1%} must")
    rows = zip(examples, (one.text for one in before.answers), (one.text for one in after.answers), strict=True)
    return Verdict(not reasons, tuple(reasons), scores, intervals, forgetting, tuple(rows))


def _no_help(
    primary: str | None, scores: Mapping[str, Mapping[str, float]], intervals: Mapping[str, tuple[float, float]]
) -> list[str]:
    """Return why the adapter is not shown to be better."""
    name = primary or "loss"
    before, after = scores["before"][name], scores["after"][name]
    low, high = intervals[name]
    if primary is None:
        return [] if high < 0 else [f"the held-out loss is not shown to fall: {before:.3f} to {after:.3f}"]
    if before >= NEARLY_PERFECT:
        if low >= -KEPT_WITHIN:
            return []
        return [f"{name} is not shown to be kept: {before:.3f} to {after:.3f}, difference {low:+.3f} to {high:+.3f}"]
    if low > 0:
        return []
    return [f"{name} is not shown to rise: {before:.3f} to {after:.3f}, difference {low:+.3f} to {high:+.3f}"]


def interval(differences: Numbers) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of differences between the same rows."""
    if len(differences) < 2 or np.ptp(differences) == 0:
        mean = float(differences.mean()) if len(differences) else 0.0
        return mean, mean
    found = bootstrap(
        (differences,), np.mean, n_resamples=RESAMPLES, batch=100, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return float(found.low), float(found.high)


def general_text(path: Path | None, tokenizer: ChatTokenizer, context_length: int) -> list[Row]:
    """
    Return the paragraphs of a text as rows all of whose tokens count, cut to what the model reads at once.

    Args:
        path: the text; None takes the one that comes along.
        tokenizer: of the base model.
        context_length: the model's.

    Raises:
        ConfigError: it cannot be read, or holds no paragraph.
    """
    path = path or GENERAL_TEXT
    try:
        texts = paragraphs(path)
    except ConfigError as error:
        raise ConfigError(f"gate.general: {error}") from error
    rows = []
    for number, paragraph in enumerate(texts, start=1):
        ids = np.array(tokenizer.token_ids(paragraph)[: min(context_length, 1024)], np.int64)
        if len(ids) > 1:
            learnt = np.arange(len(ids)) > 0
            rows.append(Row(Example(f"{path.name}, paragraph {number}", (), "", paragraph), ids, learnt, 0))
    if not rows:
        raise ConfigError(f"gate.general: {path} holds no paragraph of text to measure forgetting on.")
    return rows
