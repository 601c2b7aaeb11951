"""Homeground as its commands do it, with default settings but without a reranker, since nobody else here has one."""

import atexit
import tempfile
import time
from pathlib import Path

from rag.config import load
from rag.types import Document
from rag.workspace import Workspace
from scripts.bench.peers import contract
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text

COLLECTION = "bench"


def _fresh_workspace(**chunk: int) -> Workspace:
    scratch = tempfile.TemporaryDirectory()
    atexit.register(scratch.cleanup)
    settings = load(data_dir=Path(scratch.name), chunk=chunk, retrieval={"rerank": 0}, environment={})
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
    workspace = _fresh_workspace(size=chunk_tokens)
    base = workspace.collection(COLLECTION, create=True)  # loads the embedder
    started = time.perf_counter()
    report = base.add(folder)
    seconds = time.perf_counter() - started
    passages = workspace.store.passages
    chunks = [chunk for row in base.sources().values() for chunk in passages.of_document(row)[0]]
    return Ingested([chunk.text for chunk in chunks], [problem.source for problem in report.errors], seconds)


if __name__ == "__main__":
    contract.main(index, ingest)
