"""Homeground as its commands do it, with default settings but without a reranker, since nobody else here has one."""

from __future__ import annotations

import atexit
import tempfile
import time
from pathlib import Path
from typing import Any

from models.adapter_store import NO_ADAPTER
from models.base import SamplingParams
from rag.config import load
from rag.types import Answer, Document, Timings
from rag.workspace import Workspace
from scripts.bench.endless import endless
from scripts.bench.peers import contract
from scripts.bench.peers.answering import Ask, Passage, Show, Work
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text

COLLECTION = "bench"


def _fresh_workspace(**settings_given: Any) -> Workspace:  # noqa: ANN401 - whatever the settings take
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    settings = load(data_dir=Path(scratch.name), retrieval={"rerank": 0}, environment={}, **settings_given)
    workspace = Workspace(settings)
    atexit.register(workspace.close)
    return workspace


def index(texts: list[Text], _model: str) -> Indexed:
    """Index the documents in a fresh data directory."""
    base = _fresh_workspace().collection(COLLECTION, create=True)
    report = base.add_documents(Document(text.id, text.text or text.title, text.title) for text in texts)
    return Indexed(
        report.chunks,
        {"default": lambda question: [hit.source for hit in base.search(question, CHUNKS_PER_QUESTION)]},
    )


def ingest(folder: Path, _model: str, chunk_tokens: int) -> Ingested:
    """Index a folder in a fresh data directory; the clock stops when all of it is on disk."""
    workspace = _fresh_workspace(chunk={"size": chunk_tokens})
    base = workspace.collection(COLLECTION, create=True)  # loads the embedder
    started = time.perf_counter()
    report = base.add(folder)
    seconds = time.perf_counter() - started
    passages = workspace.store.passages
    chunks = [chunk for row in base.sources().values() for chunk in passages.of_document(row)[0]]
    return Ingested([chunk.text for chunk in chunks], [problem.source for problem in report.errors], seconds)


class _Counts:
    """The tokens of the last answer, as it tells them itself."""

    prompt = new = 0

    def wait(self) -> None:
        """Nothing runs on behind the last piece."""

    def take(self, timings: Timings) -> None:
        self.prompt, self.new = timings.prompt_tokens, timings.new_tokens


def answers(work: Work) -> tuple[Ask, _Counts]:
    """Answer as ``rag.ask`` does it; whole passages, and no end of the text, so that the work is everybody's."""
    workspace = _fresh_workspace(
        embedder=work.embedder,
        generator=work.generator,
        engine=work.engine,
        chunk={"size": work.chunk_tokens},
        answer={"passages": work.passages, "context_characters": 100_000},
    )
    base = workspace.collection(COLLECTION, create=True)
    base.add_documents(Document(source, text or title, title) for source, title, text in work.texts)
    endless(workspace.models.generator)
    params, counts = SamplingParams(max_tokens=work.new_tokens), _Counts()

    def ask(question: str, show: Show) -> list[Passage]:
        for outcome in base.stream(question, adapter=NO_ADAPTER, params=params):
            if isinstance(outcome, Answer):
                counts.take(outcome.timings)
                return [Passage(hit.source, hit.chunk.read_text) for hit in outcome.hits]
            show(outcome)
        raise ValueError("the stream ended without an Answer")

    return ask, counts


if __name__ == "__main__":
    contract.main(index, ingest, answers)
