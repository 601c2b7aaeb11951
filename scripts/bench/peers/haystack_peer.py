"""
Haystack with the defaults of its components; hybrid joins BM25 and vectors by reciprocal rank, as its tutorial does.

It cuts by words: its own tokens are those of a vocabulary that it fetches from the network.
"""

import time
from pathlib import Path

from haystack import Document
from haystack.components.builders import ChatPromptBuilder
from haystack.components.converters import MultiFileConverter, TextFileToDocument
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentPreprocessor, DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.dataclasses import ChatMessage, StreamingChunk
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder,
    SentenceTransformersTextEmbedder,
)
from haystack_integrations.components.generators.llama_cpp import LlamaCppChatGenerator
from haystack_integrations.components.generators.transformers import TransformersChatGenerator

from scripts.bench.peers import contract
from scripts.bench.peers.answering import CONTEXT_TOKENS, Ask, Passage, Show, Work
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text
from scripts.bench.peers.tokens import Counter

WORDS_PER_TOKEN = 0.6
"""Measured on the folder that is ingested: so its chunks hold 161 tokens on average, the others' 146 to 176."""


class _Searches:
    """The two searches over one store."""

    def __init__(self, store: InMemoryDocumentStore, model: str) -> None:
        self._embedder = SentenceTransformersTextEmbedder(model=model, progress_bar=False)
        self._embedder.warm_up()
        self._near = InMemoryEmbeddingRetriever(store, top_k=CHUNKS_PER_QUESTION)
        self._matching = InMemoryBM25Retriever(store, top_k=CHUNKS_PER_QUESTION)
        self._joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=CHUNKS_PER_QUESTION)

    def vectors(self, question: str) -> list[Document]:
        found: list[Document] = self._near.run(self._embedder.run(question)["embedding"])["documents"]
        return found

    def both(self, question: str) -> list[Document]:
        words = self._matching.run(question)["documents"]
        joined: list[Document] = self._joiner.run([words, self.vectors(question)])["documents"]
        return joined


def index(texts: list[Text], model: str) -> Indexed:
    """Index the documents in memory."""
    documents = [Document(content=text.content, meta={"id": text.id}) for text in texts]
    splitter = DocumentSplitter()
    chunks = splitter.run(documents=documents)["documents"]
    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False)
    embedder.warm_up()
    store = InMemoryDocumentStore()
    store.write_documents(embedder.run(documents=chunks)["documents"])
    searches = _Searches(store, model)
    return Indexed(
        len(chunks),
        {
            "default": lambda question: [found.meta["id"] for found in searches.vectors(question)],
            "hybrid": lambda question: [found.meta["id"] for found in searches.both(question)],
        },
    )


def ingest(folder: Path, model: str, chunk_tokens: int) -> Ingested:
    """Index a folder in memory."""
    embedder = SentenceTransformersDocumentEmbedder(model=model, progress_bar=False)
    embedder.warm_up()
    started = time.perf_counter()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    documents = _read(files)
    cutter = DocumentPreprocessor(split_length=round(chunk_tokens * WORDS_PER_TOKEN))
    chunks = cutter.run(documents=documents)["documents"]
    store = InMemoryDocumentStore()
    store.write_documents(embedder.run(documents=chunks)["documents"])
    seconds = time.perf_counter() - started
    failed = contract.unread(folder, (chunk.meta["source"] for chunk in chunks))
    return Ingested([chunk.content for chunk in chunks], failed, seconds)


def _read(files: list[Path]) -> list[Document]:
    converted = MultiFileConverter().run(sources=files, meta=[{"source": str(path)} for path in files])
    as_text = TextFileToDocument().run(sources=converted.get("unclassified", []))  # source files
    return [*converted["documents"], *as_text["documents"]]


def answers(work: Work) -> tuple[Ask, Counter]:
    """Answer with the components of its first tutorial, called one after the other, streamed."""
    documents = [Document(content=Text(*row).content, meta={"id": row[0]}) for row in work.texts]
    splitter = DocumentSplitter(split_length=round(work.chunk_tokens * WORDS_PER_TOKEN))
    chunks = splitter.run(documents=documents)["documents"]
    embedder = SentenceTransformersDocumentEmbedder(model=work.embedder, progress_bar=False)
    embedder.warm_up()
    store = InMemoryDocumentStore()
    store.write_documents(embedder.run(documents=chunks)["documents"])
    questions = SentenceTransformersTextEmbedder(model=work.embedder, progress_bar=False)
    questions.warm_up()
    retriever = InMemoryEmbeddingRetriever(store, top_k=work.passages)
    wording = work.template("{{ context }}", "{{ question }}")
    builder = ChatPromptBuilder([ChatMessage.from_user(wording)], required_variables="*")
    counter = Counter(work.new_tokens)
    generator = _generator(work, counter)
    generator.warm_up()

    def ask(question: str, show: Show) -> list[Passage]:
        def on_piece(piece: StreamingChunk) -> None:
            show(piece.content)

        found = retriever.run(questions.run(question)["embedding"])["documents"]
        context = "\n\n".join(document.content for document in found)
        prompt = builder.run(context=context, question=question)["prompt"]
        generator.run(prompt, streaming_callback=on_piece)
        return [Passage(document.meta["id"], document.content) for document in found]

    return ask, counter


def _generator(work: Work, counter: Counter) -> LlamaCppChatGenerator | TransformersChatGenerator:
    if work.engine == "transformers":
        counter.watch_transformers()
        return TransformersChatGenerator(work.generator, task="text-generation")
    counter.watch_llama_cpp()
    return LlamaCppChatGenerator(
        work.gguf,
        n_ctx=CONTEXT_TOKENS,
        model_kwargs={"n_threads": work.threads, "verbose": False},
        generation_kwargs={"max_tokens": work.new_tokens, "temperature": 0},
    )


if __name__ == "__main__":
    contract.main(index, ingest, answers)
