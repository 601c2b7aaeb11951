"""The arms: what each is, what decides its answers, and how its questions are answered or taken from what is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.adapter_store import NO_ADAPTER
from models.adapters import Adapter
from models.prompt import PROMPT_FORMAT
from models.store import Model
from rag.answer import last
from rag.knowledge_base import KnowledgeBase
from rag.types import Answer
from rag.workspace import Workspace
from scripts.decide.cache import Cited, Output, Outputs, Passage, digest
from scripts.decide.costs import metered
from scripts.decide.task import Asked

logger = logging.getLogger(__name__)

REVISION = 1
"""Of how questions are answered here; raised, it makes every kept output worthless."""

SHIPPED = "shipped"
"""The adapter that comes with the project for its model, among those of a decision."""

Track = Callable[[Sequence[Asked], str], Iterable[Asked]]
"""Passes questions on and shows how far an arm has come."""


@dataclass(frozen=True, slots=True)
class Arm:
    """
    A way to answer.

    Attributes:
        name: in files and tables.
        label: in sentences.
        searches: whether passages are retrieved.
        trained: which adapter answers: none, one trained on questions and answers, or one trained with passages, too.
        effort: what it takes to build and keep, from 0; of arms that are not shown to differ the lowest is advised.
    """

    name: str
    label: str
    searches: bool
    trained: str | None
    effort: int


ARMS = (
    Arm("base", "the model as it is", searches=False, trained=None, effort=0),
    Arm("retrieval", "retrieval", searches=True, trained=None, effort=1),
    Arm("adapter", "fine-tuning", searches=False, trained="plain", effort=2),
    Arm("both", "retrieval with fine-tuning", searches=True, trained="plain", effort=3),
    Arm("grounded", "retrieval with fine-tuning on passages", searches=True, trained="grounded", effort=4),
)
BY_NAME = {arm.name: arm for arm in ARMS}


def label(name: str) -> str:
    """Return what an arm is called in sentences."""
    return BY_NAME[name].label


@dataclass(frozen=True, slots=True)
class Bench:
    """
    What answers: an open data directory with its model, the collection if there is one, and the adapters by kind.

    Attributes:
        workspace: its generator offers the adapters.
        model: the base model.
        base: the collection that is retrieved from; None without one.
        adapters: ``plain``, ``grounded`` and ``shipped``, as far as there are any; the last is what the server uses
            with retrieval where nobody asks for another.
        cache: the folder of kept outputs.
        track: shows how far an arm has come.
        device: what the model runs on; of a GPU (``cuda``) the memory counts.
    """

    workspace: Workspace
    model: Model
    base: KnowledgeBase | None
    adapters: Mapping[str, Adapter]
    cache: Path
    track: Track
    device: str

    def arms(self) -> list[Arm]:
        """Return the arms that can be measured."""
        return [
            arm
            for arm in ARMS
            if (self.base is not None or not arm.searches) and (arm.trained is None or arm.trained in self.adapters)
        ]

    def answer(self, arm: Arm, asked: Sequence[Asked], base: KnowledgeBase | None) -> tuple[list[Output], int]:
        """
        Answer questions, as far as their answers are not kept.

        Args:
            arm: which way.
            asked: the questions.
            base: the collection as it is now; None for arms that do not search.

        Returns:
            The outputs in the order of the questions, and how many were made now.
        """
        outputs = Outputs(self.cache, self.facts(arm, base))
        missing = [one for one in asked if outputs.get(question_key(one)) is None]
        if missing:
            logger.info("%s: %d of %d answers are to be made", arm.name, len(missing), len(asked))
        for one in self.track(missing, arm.name) if missing else ():
            outputs.add(question_key(one), self._ask(arm, one, base))
        found = [outputs.get(question_key(one)) for one in asked]
        return [output for output in found if output is not None], len(missing)

    def _ask(self, arm: Arm, asked: Asked, base: KnowledgeBase | None) -> Output:
        used = self.adapters.get(self.kind(arm))
        adapter = used.name if used else NO_ADAPTER
        scope = f"decide {arm.name}"
        with metered(on_gpu=self.device == "cuda") as cost:
            if arm.searches and base is not None:
                answer = last(base.stream(asked.text, adapter=adapter, history=asked.history, scope=scope))
            else:
                answer = last(self.workspace.chat(asked.text, adapter=adapter, history=asked.history, scope=scope))
        return _output(answer, cost.energy_j, cost.peak_mib)

    def kind(self, arm: Arm) -> str:
        """Return which of the adapters answers: the arm's own or, with retrieval, what comes with the project."""
        return arm.trained or (SHIPPED if arm.searches else "")

    def facts(self, arm: Arm, base: KnowledgeBase | None) -> dict[str, Any]:
        """Return everything that decides what an arm answers to a question, and how fast."""
        generator = self.workspace.models.generator
        adapter = self.adapters.get(self.kind(arm))
        answer = self.workspace.settings.answer
        return {
            "revision": REVISION,
            "weights": self.model.weights_hash,
            "engine": generator.engine,
            "device": self.device,
            "prompt_format": PROMPT_FORMAT,
            "answer": answer.model_dump(mode="json", include=None if arm.searches else {"max_tokens"}),
            "adapter": dict(adapter.files) if adapter else None,
            "collection": self._documents(base) if arm.searches and base is not None else None,
        }

    def _documents(self, base: KnowledgeBase) -> dict[str, Any]:
        info = self.workspace.store.documents.collection(base.name)
        versions = self.workspace.store.documents.versions(info.id)
        reranker = self.workspace.models.reranker if base.settings.retrieval.rerank else None
        return {
            "documents": digest({source: version.sha256 for source, version in versions.items()}),
            "embedder": asdict(info.embedder),
            "reranker": reranker.name if reranker else None,
            "chunk": base.settings.chunk.model_dump(mode="json"),
            "retrieval": base.settings.retrieval.model_dump(mode="json"),
        }


def question_key(asked: Asked) -> str:
    """Return the hash of what is asked; references and forms can change without asking again."""
    before = {"earlier": [asdict(turn) for turn in asked.earlier]} if asked.earlier else {}
    return digest({"system": asked.system, "text": asked.text, **before})


def _output(answer: Answer, energy_j: float | None, peak_mib: float | None) -> Output:
    timings = answer.timings
    return Output(
        text=answer.text,
        passages=tuple(Passage(hit.source, hit.chunk.read_text) for hit in answer.hits),
        citations=tuple(Cited(one.source, one.quote, one.support) for one in answer.citations),
        first_token_s=timings.first_token_s,
        total_s=timings.total_s,
        prompt_tokens=timings.prompt_tokens,
        new_tokens=timings.new_tokens,
        energy_j=energy_j,
        peak_mib=peak_mib,
    )
