"""LlamaIndex as its starter example does it: ``VectorStoreIndex``; hybrid is a ``QueryFusionRetriever`` with BM25."""

import time
from collections.abc import Iterator
from pathlib import Path

import Stemmer
from llama_index.core import Document, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.retrievers.bm25 import BM25Retriever
from transformers import AutoTokenizer

from scripts.bench.peers import contract
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text


def index(texts: list[Text], model: str) -> Indexed:
    """Index the documents in memory; they are cut into 1,024 tokens, the default."""
    documents = [Document(text=text.content, id_=text.id) for text in texts]
    store = VectorStoreIndex.from_documents(documents, embed_model=HuggingFaceEmbedding(model_name=model))
    vectors = store.as_retriever(similarity_top_k=CHUNKS_PER_QUESTION)
    words = BM25Retriever.from_defaults(
        docstore=store.docstore,
        similarity_top_k=min(CHUNKS_PER_QUESTION, len(store.docstore.docs)),
        stemmer=Stemmer.Stemmer("english"),
        language="english",
    )
    both = QueryFusionRetriever(
        [vectors, words],
        llm=MockLLM(),  # asked for nothing: one query means the question itself
        num_queries=1,
        similarity_top_k=CHUNKS_PER_QUESTION,
        mode="reciprocal_rerank",
        use_async=False,
    )
    return Indexed(
        len(store.docstore.docs),
        {
            "default": lambda question: _ids(vectors.retrieve(question)),
            "hybrid": lambda question: _ids(both.retrieve(question)),
        },
    )


def _ids(found: list[NodeWithScore]) -> Iterator[str]:
    return (one.node.ref_doc_id for one in found)


def ingest(folder: Path, model: str, chunk_tokens: int) -> Ingested:
    """Index a folder in memory."""
    embedder = HuggingFaceEmbedding(model_name=model)
    started = time.perf_counter()
    documents = SimpleDirectoryReader(str(folder), recursive=True).load_data()
    splitter = SentenceSplitter(
        chunk_size=chunk_tokens, chunk_overlap=0, tokenizer=AutoTokenizer.from_pretrained(model).tokenize
    )
    store = VectorStoreIndex.from_documents(documents, transformations=[splitter], embed_model=embedder)
    seconds = time.perf_counter() - started
    nodes = list(store.docstore.docs.values())
    failed = contract.unread(folder, (node.metadata["file_path"] for node in nodes))
    return Ingested([node.get_content(MetadataMode.NONE) for node in nodes], failed, seconds)


if __name__ == "__main__":
    contract.main(index, ingest)
