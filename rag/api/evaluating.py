"""
An evaluation made by the server itself: how well a collection's passages are found, and how good answers from them are.

The server has the data directory open, so no other program could measure it. Searches go one after another; answers
come through the generation queue, one at a time and only while nobody waits for one.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from models.base import AccessError, InputError
from rag.access import Principal
from rag.answer import AnswerStream
from rag.api.answers import outcomes
from rag.api.errors import ApiError
from rag.api.service import Service
from rag.evaluate import known
from rag.evaluate.answers import SCOPE, Outcome, score
from rag.evaluate.answers_report import answers_object
from rag.evaluate.measure import Measured, question_warnings, text_reader
from rag.evaluate.questions import Evidence, Question, locate
from rag.evaluate.report import measured_object
from rag.evaluate.run import Result, run_questions
from rag.knowledge_base import KnowledgeBase
from rag.runs.folder import RunFolder
from rag.runs.launcher import Outcome as Ended
from rag.runs.launcher import Stopped
from rag.store.records import CollectionInfo, StoredRun
from rag.types import Answer

PATIENCE_S = 0.2
"""So often it is looked whether somebody waits for an answer, or wants the evaluation to end."""

FOUND = 5
"""So many places that were found are kept of a question."""


class Evaluation:
    """
    One evaluation, made in a thread of its own.

    Args:
        service: the server's state.
        principal: who wants it; his right to the collection is looked at before each question.
        run: as it is stored; ``settings`` say ``set_id``, ``answers`` and ``adapter``.
        folder: where it tells how far it is.
        loop: where the server answers questions.
    """

    def __init__(
        self, service: Service, principal: Principal, run: StoredRun, folder: RunFolder, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._service, self._principal, self._run, self._folder, self._loop = service, principal, run, folder, loop
        self._stopping = threading.Event()
        self._scope = f"{SCOPE} {principal.name}"  # whose prompts a cache may keep, and whose place in the queue it is

    def run(self, stopping: threading.Event) -> Ended:
        """
        Measure.

        Raises:
            InputError: the questions are about other documents, or nothing can be measured with them.
            AccessError: the right to the collection was taken back.
            Stopped: it was ended.
        """
        self._stopping = stopping
        asked = read_set(self._service, self._run.settings["set_id"], answers=self._run.settings["answers"])
        info = self._allowed()
        base = self._service.workspace.collection(info.name)
        cases: dict[str, dict[str, Any]] = {}
        facts = {"documents": info.documents, "chunks": info.chunks, "questions": len(asked.rows)}
        result = {**facts, "retrieval": self._retrieval(base, info, asked, cases) if asked.judged else None}
        wants = self._run.settings["answers"] and asked.asked
        result["answers"] = self._answers(base, asked, cases) if wants else None
        self._allowed()
        self._service.workspace.store.evaluations.put_cases(self._run.id, list(cases.values()))
        return Ended("done", result)

    def _allowed(self) -> CollectionInfo:
        if self._stopping.is_set():
            raise Stopped
        people = self._service.workspace.store.people
        user = people.user_by_id(self._principal.user_id) if self._principal.user_id is not None else None
        try:
            if self._principal.user_id is not None and (user is None or user.is_suspended):
                raise ApiError(403, "the user may not do anything any more.", "access_error")
            return require_whole(self._service, self._principal, self._run.collection)
        except ApiError as error:
            raise AccessError(f"the evaluation ended: {error.detail}") from error

    def _retrieval(
        self, base: KnowledgeBase, info: CollectionInfo, asked: known.Known, cases: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        targets, lost = locate(asked.judged, text_reader(base))
        base.search(asked.judged[0].text, 1)  # so that no time below holds the loading of indexes
        rows, results = base.sources(), []
        for number, question in enumerate(asked.judged):
            self._allowed()
            self._folder.tell(phase="searching", done=number, of=len(asked.judged))
            (result,) = run_questions(base, [question], targets)
            results.append(result)
            cases[question.id] = _found(question, result, base, rows)
        chunk, retrieval = base.settings.chunk.model_dump(), base.settings.retrieval.model_dump()
        warnings = question_warnings(asked.judged, asked.without, lost)
        settings = {"chunk": chunk, "retrieval": retrieval}
        return measured_object(Measured(results, info.documents, info.chunks, settings, None, warnings))

    def _answers(self, base: KnowledgeBase, asked: known.Known, cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
        adapter = self._run.settings["adapter"]
        all_outcomes = []
        for number, one in enumerate(asked.asked):
            self._allowed()
            self._folder.tell(phase="answering", done=number, of=len(asked.asked))
            answer = self._answer(partial(base.stream, one.text, adapter=adapter, scope=self._scope))
            outcome = Outcome("both" if answer.adapter else "retrieval", one, answer, score(answer, one))
            all_outcomes.append(outcome)
            _add_answer(cases.setdefault(one.id, _case(one.id, one.text, ())), outcome)
        first = all_outcomes[0].answer
        found = answers_object(all_outcomes, {"model": first.model, "adapter": first.adapter})
        (of_arm,) = found["arms"].values()
        return {**of_arm, "model": first.model, "adapter": first.adapter, "warnings": found["warnings"]}

    def _answer(self, make: Callable[[], AnswerStream]) -> Answer:
        waiting = _when_nobody_waits(self._service, self._scope, make)
        future = asyncio.run_coroutine_threadsafe(waiting, self._loop)
        while True:
            try:
                return future.result(PATIENCE_S)
            except TimeoutError:
                if self._stopping.is_set():
                    future.cancel()
                    raise Stopped from None


async def _when_nobody_waits(service: Service, scope: str, make: Callable[[], AnswerStream]) -> Answer:
    while service.worker.waiting:
        await asyncio.sleep(PATIENCE_S)
    job = service.worker.submit(scope, make)
    try:
        async for outcome in outcomes(service, job):
            if isinstance(outcome, Answer):
                return outcome
    finally:
        job.cancel()
    raise ValueError("the job ended without an Answer")


def read_set(service: Service, set_id: int, *, answers: bool) -> known.Known:
    """
    Read the questions of a set, to look for their passages and, with ``answers``, to have them answered.

    Raises:
        InputError: nothing can be measured with them.
    """
    rows = service.workspace.store.evaluations.questions(set_id)
    asked = known.read("".join(json.dumps(row) + "\n" for row in rows), "the question set")
    if not asked.judged and not answers:
        raise InputError(
            "none of these questions names words of a document that could be looked for; have them answered, too:"
            ' tick “Also answer the questions”, or send "answers": true.'
        )
    return asked


def require_whole(service: Service, principal: Principal, collection: str) -> CollectionInfo:
    """
    Return a collection that a principal may read as a whole, without which it cannot be measured.

    Raises:
        ApiError: there is none of that name, or he may not know of it (404), or reads only a part of it (403).
    """
    info = service.allowed(principal, collection)
    if service.authority.readable(principal, info) is not None:
        raise ApiError(403, f"this needs the right to read all of {collection!r}; ask who manages it.", "access_error")
    return info


def _case(name: str, question: str, expected: tuple[Evidence, ...]) -> dict[str, Any]:
    return {
        "id": name,
        "question": question,
        "evidence": [{"source": one.source, "quote": one.quote} for one in expected],
        "sources": sorted({one.source for one in expected}),
        "found": [],
        "rank": None,
        "answers": [],
        "answer": None,
        "causes": [],
        "failed": False,
    }


def _found(question: Question, result: Result, base: KnowledgeBase, rows: Mapping[str, int]) -> dict[str, Any]:
    """Return what came of a question's search: at which place the first evidence stood, and what was found."""
    case = _case(question.id, question.text, question.evidence)
    first = result.scores["mrr@10"]
    case["rank"] = round(1 / first) if first else None
    for name, _ in result.ranking[:FOUND]:
        source, _, place = name.partition("#")[0].rpartition(":")
        start, end = map(int, place.split("-"))
        if source in rows:
            case["found"].append({"source": source, "start": start, "end": end, **_about(base, rows[source], start)})
    if not first:
        case["failed"] = True
        case["causes"].append("not_found")
    case["sources"] = sorted({*case["sources"], *(one["source"] for one in case["found"])})
    return case


def _about(base: KnowledgeBase, document_id: int, start: int) -> dict[str, Any]:
    document = base.document(document_id)
    return {
        "document_id": document_id,
        "title": document.title,
        "page": document.page_at(start),
        "heading": " > ".join(document.headings_at(start)),
    }


def _add_answer(case: dict[str, Any], outcome: Outcome) -> None:
    case["answers"] = list(outcome.asked.answers)
    case["answer"] = outcome.answer.text
    case["sources"] = sorted({*case["sources"], *(hit.source for hit in outcome.answer.hits)})
    if outcome.failed:
        case["failed"] = True
        case["causes"].append(_cause(outcome))


def _cause(outcome: Outcome) -> str:
    if not outcome.asked.is_answerable:
        return "should_decline"
    return "declined" if not outcome.scores["answerable_answered"] else "wrong"
