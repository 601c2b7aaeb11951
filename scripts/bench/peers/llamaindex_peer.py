"""LlamaIndex as its starter example does it: ``VectorStoreIndex``; hybrid is a ``QueryFusionRetriever`` with BM25."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import Stemmer
from llama_index.core import Document, PromptTemplate, SimpleDirectoryReader, VectorStoreIndex
from llama_index.core.llms import LLM, ChatMessage, MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.llms.huggingface import HuggingFaceLLM
from llama_index.llms.llama_cpp import LlamaCPP
from llama_index.retrievers.bm25 import BM25Retriever
from transformers import AutoTokenizer

from scripts.bench.peers import contract
from scripts.bench.peers.answering import CONTEXT_TOKENS, Ask, Passage, Show, Work
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text
from scripts.bench.peers.tokens import Counter


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


def answers(work: Work) -> tuple[Ask, Counter]:
    """Answer as the starter example does it: a query engine, streamed."""
    documents = [Document(text=Text(*row).content, id_=row[0]) for row in work.texts]
    splitter = SentenceSplitter(
        chunk_size=work.chunk_tokens, chunk_overlap=0, tokenizer=AutoTokenizer.from_pretrained(work.embedder).tokenize
    )
    store = VectorStoreIndex.from_documents(
        documents, transformations=[splitter], embed_model=HuggingFaceEmbedding(model_name=work.embedder)
    )
    counter = Counter(work.new_tokens)
    engine = store.as_query_engine(
        llm=_model(work, counter),
        similarity_top_k=work.passages,
        streaming=True,
        text_qa_template=PromptTemplate(work.template("{context_str}", "{query_str}")),
    )

    def ask(question: str, show: Show) -> list[Passage]:
        response = engine.query(question)
        for piece in response.response_gen:
            show(piece)
        return [Passage(one.node.ref_doc_id, one.node.get_content()) for one in response.source_nodes]

    return ask, counter


def _model(work: Work, counter: Counter) -> LLM:
    tokenizer = AutoTokenizer.from_pretrained(work.generator)

    def as_prompt(messages: Sequence[ChatMessage]) -> str:
        turns = [{"role": message.role.value, "content": message.content} for message in messages]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def as_only_turn(text: str) -> str:
        return as_prompt([ChatMessage(role="user", content=text)])

    wording = {"messages_to_prompt": as_prompt, "completion_to_prompt": as_only_turn}
    if work.engine == "transformers":
        counter.watch_transformers()
        return HuggingFaceLLM(
            model_name=work.generator,
            tokenizer_name=work.generator,
            context_window=CONTEXT_TOKENS,
            max_new_tokens=work.new_tokens,
            is_chat_model=True,
            **wording,
        )
    counter.watch_llama_cpp()
    return LlamaCPP(
        model_path=work.gguf,
        context_window=CONTEXT_TOKENS,
        max_new_tokens=work.new_tokens,
        temperature=0,
        model_kwargs={"n_threads": work.threads},
        verbose=False,
        **wording,
    )


if __name__ == "__main__":
    contract.main(index, ingest, answers)
