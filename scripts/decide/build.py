"""What is built before anything is asked: the documents are indexed, the adapters trained, each once."""

from __future__ import annotations

import json
import logging
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import adapter_store
from models.base import Embedder, InputError
from models.progress import ProgressFile
from models.store import Model
from models.tokenizer import ChatTokenizer
from rag import config as rag_config
from rag.config import Settings
from rag.knowledge_base import KnowledgeBase
from rag.workspace import Workspace
from scripts.decide import limits
from scripts.decide.cache import digest
from scripts.decide.config import DecideConfig
from scripts.decide.costs import metered
from scripts.decide.examples import grounded_rows, plain_rows, shortened
from scripts.decide.freshness import edited
from scripts.decide.task import Task
from scripts.decide.training import Trained, existing, train

logger = logging.getLogger(__name__)

COLLECTION = "documents"
"""What the decision's own collections are called, with the hash of their folder behind: documents never mix."""

INDEXED = "indexed.json"


@dataclass(frozen=True, slots=True)
class Indexed:
    """
    What indexing took.

    Attributes:
        documents: how many were indexed when these figures were taken.
        seconds: for these; None for a collection that was there already.
        energy_j: meanwhile; None where it cannot be read.
        problems: files that could not be indexed, with the reason.
    """

    documents: int
    seconds: float | None
    energy_j: float | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """
    Everything that answers need.

    Attributes:
        settings: where it is searched, and how.
        indexed: what that took; None where nothing is searched.
        held: how many test questions the documents can answer; None where nothing is searched.
        trained: the adapters, by kind.
        too_few: how many examples there are of each kind that was not trained because they are too few.
    """

    settings: Settings
    indexed: Indexed | None
    held: limits.Held | None
    trained: dict[str, Trained]
    too_few: dict[str, int]


def settings_of(config: DecideConfig, out: Path, data_dir: Path | None) -> Settings:
    """
    Return the settings that questions are answered with.

    Args:
        config: the decision.
        out: its folder, which holds the data of its own collection.
        data_dir: where a collection lies that is there already; None for the usual place.

    Raises:
        ConfigError: an environment variable or the data directory's settings file is wrong.
    """
    return rag_config.load(
        data_dir=data_dir if config.collection else out / "data",
        collection=config.collection or _own(config.documents),
        generator=config.base,
        engine=config.engine,
        device=config.device,
        answer=config.answer.model_dump(),
    )


def _own(folder: Path | None) -> str:
    return f"{COLLECTION}-{digest({'folder': str(folder)})[:12]}" if folder else COLLECTION


def build(
    config: DecideConfig,
    task: Task,
    model: Model,
    out: Path,
    settings: Settings,
    embedder: Embedder | None,
    told: ProgressFile,
) -> Built:
    """
    Index the documents and train the adapters, as far as that was not done before.

    Raises:
        HomegroundError: a document folder holds nothing, a training fails, an adapter is for another model.
    """
    indexed, held, rows = None, None, {}
    if task.learnt:
        rows["plain"] = plain_rows(task.learnt)
    if config.searches:
        told.tell(phase="indexing")
        with Workspace(settings, embedder=embedder) as workspace:
            base = workspace.collection(settings.collection, create=config.documents is not None)
            indexed = _index(base, config.documents, out) if config.documents else _counted(base)
            sources = base.sources()
            _require(config, sources)
            texts = ((source, base.document(row).text) for source, row in sources.items())
            held = limits.held(task.asked, texts, config.score)
            if task.learnt:
                found = grounded_rows(
                    base,
                    task.learnt,
                    passages=config.answer.passages,
                    keeps_form=config.score in ("fields", "execution") or any(one.form for one in task.asked),
                    seed=config.training.seed,
                )
                length = min(config.training.max_length, model.context_length)
                rows["grounded"] = shortened(found, ChatTokenizer(model), length)
    too_few = {kind: len(of_kind) for kind, of_kind in rows.items() if 0 < len(of_kind) < limits.LEAST_EXAMPLES}
    rows = {kind: of_kind for kind, of_kind in rows.items() if len(of_kind) >= limits.LEAST_EXAMPLES}
    return Built(settings, indexed, held, _adapters(config, rows, model, out, told), too_few)


def _adapters(
    config: DecideConfig, rows: dict[str, list[dict[str, Any]]], model: Model, out: Path, told: ProgressFile
) -> dict[str, Trained]:
    named = {"plain": config.adapter, "grounded": config.grounded_adapter}
    there = {kind: existing(adapter_store.locate(name), model) for kind, name in named.items() if name is not None}
    return there | {kind: train(kind, of_kind, config, model, out, told) for kind, of_kind in rows.items()}


def _require(config: DecideConfig, sources: Container[str]) -> None:
    """Refuse to edit what was not indexed."""
    if config.documents is not None:
        missing = [source for source in edited(config.changes, config.documents) if source not in sources]
        if missing:
            raise InputError(f"changes: {missing[0]} is not among the documents that could be indexed; edit another.")


def _index(base: KnowledgeBase, folder: Path, out: Path) -> Indexed:
    with metered() as cost:
        report = base.add(folder, sync=True)
    if not base.sources():
        reasons = "; ".join(f"{one.source}: {one.error}" for one in report.errors[:5])
        raise InputError(f"{folder} holds no document that can be read{': ' + reasons if reasons else ''}.")
    problems = tuple(f"{one.source}: {one.error}" for one in report.errors)
    file = out / INDEXED
    known: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {"documents": 0}
    new = len(report.documents)
    if new >= known["documents"]:
        known = {"documents": new, "seconds": report.seconds, "energy_j": cost.energy_j}
        file.write_text(json.dumps(known), encoding="utf-8")
    return Indexed(known["documents"], known["seconds"], known["energy_j"], problems)


def _counted(base: KnowledgeBase) -> Indexed:
    return Indexed(len(base.sources()), None, None)
