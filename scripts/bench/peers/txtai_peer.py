"""
txtai as its introduction does it: every document is one row; hybrid is ``hybrid=True``.

Of the extractors that its ``Textractor`` knows LiteParse is the one that works without a network, with text recognition
off (its language data are fetched); it refuses plain text, which therefore goes to ``Segmentation`` directly.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from liteparse import LiteParse
from tokenizers import Tokenizer
from txtai import Embeddings
from txtai.pipeline import LLM, Segmentation, Textractor

from scripts.bench.peers import contract
from scripts.bench.peers.answering import CONTEXT_TOKENS, Ask, Passage, Show, Work
from scripts.bench.peers.contract import CHUNKS_PER_QUESTION, Indexed, Ingested, Text
from scripts.bench.peers.tokens import Counter

EXTRACTED = {".pdf", ".docx", ".html"}


def index(texts: list[Text], model: str) -> Indexed:
    """Index the documents in memory, once: a hybrid index with all the weight on the vectors answers as one without."""
    embeddings = Embeddings(path=model, hybrid=True)
    embeddings.index((text.id, text.content, None) for text in texts)

    def search(question: str, weight: float) -> list[str]:
        return [row for row, _ in embeddings.search(question, CHUNKS_PER_QUESTION, weights=weight)]

    return Indexed(embeddings.count(), {"default": partial(search, weight=1.0), "hybrid": partial(search, weight=0.5)})


def ingest(folder: Path, model: str, chunk_tokens: int) -> Ingested:
    """Index a folder in memory, with the text of every chunk."""
    embeddings = Embeddings(path=model, content=True)
    embeddings.batchtransform(["loads the model"])
    started = time.perf_counter()
    chunks = list(_chunks(folder, model, chunk_tokens))
    embeddings.index(text for _, text in chunks)
    seconds = time.perf_counter() - started
    return Ingested([text for _, text in chunks], contract.unread(folder, (path for path, _ in chunks)), seconds)


def answers(work: Work) -> tuple[Ask, Counter]:
    """Answer as its introduction to retrieval does it: a search, a prompt, an ``LLM`` that streams."""
    segment = Segmentation(**_cutting(work.embedder, work.chunk_tokens))
    chunks = [Passage(row[0], piece) for row in work.texts for piece in segment(Text(*row).content)]
    embeddings = Embeddings(path=work.embedder)
    embeddings.index(chunk.text for chunk in chunks)
    counter = Counter(work.new_tokens)
    if work.engine == "transformers":
        counter.watch_transformers()
        model = LLM(work.generator)
    else:
        counter.watch_llama_cpp()
        model = LLM(work.gguf, n_ctx=CONTEXT_TOKENS, n_threads=work.threads)
    own = {} if work.engine == "transformers" else {"temperature": 0}

    def ask(question: str, show: Show) -> list[Passage]:
        found = [chunks[row] for row, _ in embeddings.search(question, work.passages)]
        prompt = work.template("\n\n".join(chunk.text for chunk in found), question)
        turns = [{"role": "user", "content": prompt}]
        for piece in model(turns, maxlength=work.new_tokens, stream=True, **own):
            show(piece)
        return found

    return ask, counter


def _cutting(model: str, chunk_tokens: int) -> dict[str, Any]:
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return {"chunker": "recursive", "tokenizer": tokenizer, "chunk_size": chunk_tokens}


def _chunks(folder: Path, model: str, chunk_tokens: int) -> Iterator[tuple[Path, str]]:
    cutting = _cutting(model, chunk_tokens)
    extract, segment = Textractor(**cutting), Segmentation(**cutting)
    extract.html.backend.liteparse = LiteParse(output_format="markdown", ocr_enabled=False, quiet=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                pieces = extract(str(path)) if path.suffix in EXTRACTED else segment(path.read_text(encoding="utf-8"))
            except Exception as error:  # whatever a converter throws is one file less, and counted
                print(f"{path}: {error!r}")
                continue
            yield from ((path, piece) for piece in pieces)


if __name__ == "__main__":
    contract.main(index, ingest, answers)
