"""
LangChain as its tutorials use it: recursive splitter, FAISS; hybrid is BM25 and vectors in an ``EnsembleRetriever``.

HTML goes through BeautifulSoup and Markdown in as text: the ``unstructured`` loaders, which the directory loader takes
by default, fetch a spaCy model from the network at their first use.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.chat_models import ChatLlamaCpp
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
from langchain_core.language_models import BaseChatModel
from langchain_core.prompts import ChatPromptTemplate
from langchain_huggingface import ChatHuggingFace, HuggingFaceEmbeddings, HuggingFacePipeline
from langchain_text_splitters import RecursiveCharacterTextSplitter
from transformers import AutoTokenizer, pipeline

from scripts.bench.peers import contract
from scripts.bench.peers.answering import CONTEXT_TOKENS, Ask, Passage, Show, Work
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text
from scripts.bench.peers.tokens import Counter

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


def answers(work: Work) -> tuple[Ask, Counter]:
    """Answer as the tutorial does it: retriever, prompt and chat model in a chain, streamed."""
    documents = [Document(page_content=Text(*row).content, metadata={"id": row[0]}) for row in work.texts]
    splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
        AutoTokenizer.from_pretrained(work.embedder), chunk_size=work.chunk_tokens, chunk_overlap=0
    )
    chunks = splitter.split_documents(documents)
    store = FAISS.from_documents(chunks, HuggingFaceEmbeddings(model_name=work.embedder))
    retriever = store.as_retriever(search_kwargs={"k": work.passages})
    counter = Counter(work.new_tokens)
    chain = ChatPromptTemplate.from_template(work.template("{context}", "{question}")) | _chat(work, counter)

    def ask(question: str, show: Show) -> list[Passage]:
        found = retriever.invoke(question)
        context = "\n\n".join(document.page_content for document in found)
        for chunk in chain.stream({"question": question, "context": context}):
            show(chunk.content)
        return [Passage(document.metadata["id"], document.page_content) for document in found]

    return ask, counter


def _chat(work: Work, counter: Counter) -> BaseChatModel:
    if work.engine == "transformers":
        counter.watch_transformers()
        return ChatHuggingFace(llm=HuggingFacePipeline(pipeline=pipeline("text-generation", work.generator)))
    counter.watch_llama_cpp()
    return ChatLlamaCpp(
        model_path=work.gguf,
        n_ctx=CONTEXT_TOKENS,
        n_batch=512,  # llama.cpp's own; LangChain's is 8, which reads a prompt many times slower
        n_threads=work.threads,
        max_tokens=work.new_tokens,
        temperature=0,
        repeat_penalty=1.0,
        verbose=False,
    )


if __name__ == "__main__":
    contract.main(index, ingest, answers)
