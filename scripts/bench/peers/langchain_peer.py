"""
LangChain as its tutorials use it: recursive splitter, FAISS; hybrid is BM25 and vectors in an ``EnsembleRetriever``.

HTML goes through BeautifulSoup and Markdown in as text: the ``unstructured`` loaders, which the directory loader takes
by default, fetch a spaCy model from the network at their first use.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.document_loaders import (
    BSHTMLLoader,
    DirectoryLoader,
    Docx2txtLoader,
    PyPDFLoader,
    TextLoader,
)
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_core.documents import Document
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter
from transformers import AutoTokenizer

from scripts.bench.peers import contract
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text

CHUNK_CHARACTERS, OVERLAP_CHARACTERS = 1000, 200
"""Of the tutorial "Build a RAG agent"."""

LOADERS = {
    "**/*.pdf": PyPDFLoader,
    "**/*.docx": Docx2txtLoader,
    "**/*.html": BSHTMLLoader,
    "**/*.md": TextLoader,
    "**/*.txt": TextLoader,
    "**/*.py": TextLoader,
}


def index(texts: list[Text], model: str) -> Indexed:
    """Index the documents in memory."""
    documents = [Document(page_content=text.content, metadata={"id": text.id}) for text in texts]
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_CHARACTERS, chunk_overlap=OVERLAP_CHARACTERS)
    chunks = splitter.split_documents(documents)
    store = FAISS.from_documents(chunks, HuggingFaceEmbeddings(model_name=model))
    vectors = store.as_retriever(search_kwargs={"k": CHUNKS_PER_QUESTION})
    words = BM25Retriever.from_documents(chunks, k=CHUNKS_PER_QUESTION)
    both = EnsembleRetriever(retrievers=[words, vectors], weights=[0.5, 0.5])
    return Indexed(
        len(chunks),
        {
            "default": lambda question: _ids(vectors.invoke(question)),
            "hybrid": lambda question: _ids(both.invoke(question)),
        },
    )


def _ids(documents: list[Document]) -> Iterator[str]:
    return (document.metadata["id"] for document in documents)


def ingest(folder: Path, model: str, chunk_tokens: int) -> Ingested:
    """Index a folder in memory."""
    embeddings = HuggingFaceEmbeddings(model_name=model)
    started = time.perf_counter()
    documents = []
    for pattern, loader in LOADERS.items():
        documents += DirectoryLoader(str(folder), glob=pattern, loader_cls=loader, silent_errors=True).load()
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        AutoTokenizer.from_pretrained(model), chunk_size=chunk_tokens, chunk_overlap=0
    )
    chunks = splitter.split_documents(documents)
    FAISS.from_documents(chunks, embeddings)
    seconds = time.perf_counter() - started
    failed = contract.unread(folder, (chunk.metadata["source"] for chunk in chunks))
    return Ingested([chunk.page_content for chunk in chunks], failed, seconds)


if __name__ == "__main__":
    contract.main(index, ingest)
