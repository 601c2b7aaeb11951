"""A decision from its settings to a recommendation: read, build, answer, compare, recommend."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models import adapter_store
from models.base import Embedder
from models.engines import load_generator
from models.network import best_device
from models.progress import NOBODY, ProgressFile
from models.store import Model, locate
from rag.workspace import Workspace
from scripts.decide import limits
from scripts.decide.arms import SHIPPED, Bench, Track
from scripts.decide.build import Built, build, settings_of
from scripts.decide.compare import Difference, Pair, compare_all
from scripts.decide.config import DecideConfig
from scripts.decide.evidence import Evidence, Standing
from scripts.decide.freshness import Freshness, edited, replay
from scripts.decide.leaks import refuse_solutions
from scripts.decide.limits import Limit
from scripts.decide.measure import PRIMARY, score
from scripts.decide.recommend import Recommendation, recommend
from scripts.decide.requirements import Prior, prior
from scripts.decide.results import ArmResult, result
from scripts.decide.task import Task
from scripts.decide.training import existing

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that a decision found out."""

    config: DecideConfig
    task: Task
    model: Model
    engine: str
    prior: Prior
    built: Built
    results: tuple[ArmResult, ...]
    pairs: Mapping[Pair, Difference]
    limits: tuple[Limit, ...]
    freshness: Freshness | None
    recommendation: Recommendation


@dataclass(frozen=True, slots=True)
class _Answered:
    """What the model gave: each arm's results, and what became of edits."""

    results: tuple[ArmResult, ...]
    freshness: Freshness | None
    engine: str


def decide(
    config: DecideConfig,
    task: Task,
    out: Path,
    *,
    data_dir: Path | None,
    track: Track,
    told: ProgressFile = NOBODY,
    embedder: Embedder | None = None,
) -> Decision:
    """
    Measure every way and say which one the task needs.

    Args:
        config: the decision.
        task: its questions and examples.
        out: its folder: outputs, adapters and the report are kept there.
        data_dir: where a collection lies that is there already; None for the usual place.
        track: shows how far an arm has come.
        told: hears which part of the work begins.
        embedder: takes the place of the configured one.

    Raises:
        HomegroundError: a model is missing, a training fails, a folder cannot be used.
        KeyboardInterrupt: it was stopped; the same command goes on where it was.
    """
    _check(config, out)
    model = locate(config.base, "generator")
    settings = settings_of(config, out, data_dir)
    built = build(config, task, model, out, settings, embedder, told)
    answered = _answer(config, task, model, built, out, track, embedder)
    expected = prior(config.requirements)
    unknown = _unknown(config, task, built, answered.results)
    pairs = _compared(answered.results, config.margin)
    standings = [_standing(one, built) for one in answered.results if PRIMARY in one.table]
    evidence = Evidence(
        standings,
        pairs,
        unknown,
        config.requirements,
        expected,
        answered.freshness,
        config.margin,
        counts_points=config.score in ("f1", "fields"),
    )
    return Decision(
        config,
        task,
        model,
        answered.engine,
        expected,
        built,
        answered.results,
        pairs,
        tuple(unknown),
        answered.freshness,
        recommend(evidence),
    )


def _check(config: DecideConfig, out: Path) -> None:
    """Refuse what cannot be measured before anything is built."""
    refuse_solutions(config, out)
    if config.documents is not None:
        edited(config.changes, config.documents)


def _answer(
    config: DecideConfig,
    task: Task,
    model: Model,
    built: Built,
    out: Path,
    track: Track,
    embedder: Embedder | None,
) -> _Answered:
    """Ask every arm every question, then replay the edits."""
    usual = adapter_store.shipped_for(model)
    trained = {**built.trained, **({SHIPPED: existing(usual, model)} if usual else {})}
    adapters = {kind: one.adapter for kind, one in trained.items()}
    device = None if config.device == "auto" else config.device
    generator = load_generator(model, config.engine, device, lambda: list(adapters.values()))
    with Workspace(built.settings, embedder=embedder, generator=generator) as workspace:
        base = workspace.collection(built.settings.collection) if config.searches else None
        bench = Bench(workspace, model, base, adapters, out / "outputs", track, best_device(device).type)
        results = []
        for arm in bench.arms():
            outputs, made = bench.answer(arm, task.asked, base)
            scored = [score(one, output, arm, config) for one, output in zip(task.asked, outputs, strict=True)]
            results.append(result(arm, scored, made, trained.get(bench.kind(arm))))
            logger.info("%s: %d answers made, %d kept from before", arm.name, made, len(outputs) - made)
        freshness = None
        if config.changes and base is not None and config.documents is not None:
            freshness = replay(bench, base, bench.arms(), config, config.documents)
        return _Answered(tuple(results), freshness, generator.engine)


def _unknown(config: DecideConfig, task: Task, built: Built, results: Sequence[ArmResult]) -> list[limits.Limit]:
    """Return what cannot be concluded."""
    trained = {*built.trained, *built.too_few}
    return [
        *limits.of_test(task.asked),
        *limits.of_documents(built.held),
        *limits.of_results({one.arm.name: one.table for one in results}),
        *limits.of_arms(searches=config.searches, trained="plain" in trained, grounded="grounded" in trained),
        *limits.of_examples(built.too_few, rest=config.searches or bool(built.trained)),
        *limits.of_adapters([name for name in (config.adapter, config.grounded_adapter) if name]),
    ]


def _standing(of_arm: ArmResult, built: Built) -> Standing:
    trained, seconds = of_arm.trained, of_arm.seconds()
    indexing = built.indexed.seconds if built.indexed and of_arm.arm.searches else None
    return Standing(
        of_arm.arm.name,
        right=float(np.nanmean(of_arm.table[PRIMARY])),
        p95_s=float(np.percentile(seconds, 95)),
        mean_s=float(seconds.mean()),
        built_s=(indexing or 0) + ((trained and trained.seconds) or 0),
        forgetting_nats=trained.forgetting_nats if trained else None,
    )


def _compared(results: Sequence[ArmResult], margin: float) -> dict[Pair, Difference]:
    """Compare every pair of arms on the questions that can be scored; these are the same for all arms."""
    known = [one for one in results if PRIMARY in one.table]
    if len(known) < 2:
        return {}
    has = ~np.isnan(known[0].table[PRIMARY])
    return compare_all({one.arm.name: one.table[PRIMARY][has] for one in known}, known[0].groups(has), margin)
