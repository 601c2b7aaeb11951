"""
What every system answers on its command line, in whatever environment it has; no import of ours, and few of others.

    python -m scripts.bench.peers.langchain_peer retrieval CORPUS.json
    python -m scripts.bench.peers.langchain_peer ingest FOLDER --model DIRECTORY --chunk-tokens 200
    python -m scripts.bench.peers.langchain_peer answers WORK.json

The last line of standard output is one JSON object; of ``answers`` it is one for every question on standard input.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from scripts.bench.peers import answering
from scripts.bench.peers.answering import Ask, Counts, Work

CHUNKS_PER_QUESTION = 100
"""How many chunks each search brings in, so that ten different documents are among them."""

TOKENS_READ = 254
"""Of a chunk, all-MiniLM-L6-v2 reads 256 tokens, two of which only mark beginning and end."""


class Text(NamedTuple):
    """A document of a retrieval collection; title or text may be empty, not both."""

    id: str
    title: str
    text: str

    @property
    def content(self) -> str:
        """Title and text in one, for systems that know no title."""
        return "\n".join(part for part in (self.title, self.text) if part)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A retrieval collection: what is searched, and the questions by their id."""

    texts: list[Text]
    questions: dict[str, str]

    def write(self, path: Path) -> None:
        """Write it for :meth:`read`."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Corpus:
        """Read what :meth:`write` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls([Text(*row) for row in data["texts"]], data["questions"])


Search = Callable[[str], Iterable[str]]
"""From a question to the document ids of the best chunks, best first; a document may come more than once."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A searchable collection and the ways of searching it by name: ``default``, ``hybrid`` where there is one."""

    chunks: int
    searches: Mapping[str, Search]


@dataclass(frozen=True, slots=True)
class Ingested:
    """
    What a folder became.

    Attributes:
        texts: the chunks' own texts.
        failed: files of which nothing was read, relative to the folder.
        seconds: from the loaded embedder to the searchable index.
    """

    texts: list[str]
    failed: list[str]
    seconds: float


def unread(folder: Path, read: Iterable[str | Path]) -> list[str]:
    """Return the files of a folder that are not among those that were read, relative to it."""
    known = {Path(path).resolve() for path in read}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(folder).as_posix() for path in files if path.resolve() not in known]


def main(
    index: Callable[[list[Text], str], Indexed],
    ingest: Callable[[Path, str, int], Ingested],
    answers: Callable[[Work], tuple[Ask, Counts]],
) -> None:
    """
    Answer the command line.

    Args:
        index: from documents and the embedder's directory to a searchable collection.
        ingest: from a folder, the embedder's directory and the tokens of a chunk to what the folder became.
        answers: from documents and models to what answers questions, and counts its tokens.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=("retrieval", "ingest", "answers"))
    parser.add_argument("path", type=Path, help="a corpus or the work as JSON, or a folder")
    parser.add_argument("--model", help="the embedder: a sentence-transformers directory")
    parser.add_argument("--chunk-tokens", type=int, default=200)
    given = parser.parse_args()
    if given.task == "answers":
        with contextlib.redirect_stdout(sys.stderr):
            ask, counts = answers(Work.read(given.path))
        answering.serve(ask, counts)
        return
    with contextlib.redirect_stdout(sys.stderr):  # what the frameworks print
        if given.task == "retrieval":
            result = _rank(Corpus.read(given.path), given.model, index)
        else:
            result = _count(ingest(given.path, given.model, given.chunk_tokens), given.model)
    sys.stdout.write(json.dumps(result) + "\n")


def _rank(corpus: Corpus, model: str, index: Callable[[list[Text], str], Indexed]) -> dict[str, Any]:
    indexed = index(corpus.texts, model)
    rankings = {
        name: {key: list(dict.fromkeys(search(text))) for key, text in corpus.questions.items()}
        for name, search in indexed.searches.items()
    }
    return {"chunks": indexed.chunks, "rankings": rankings}


def _count(ingested: Ingested, model: str) -> dict[str, Any]:
    tokenizer = Tokenizer.from_file(str(Path(model) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    encodings = tokenizer.encode_batch(ingested.texts, add_special_tokens=False)
    tokens = [len(encoding.ids) for encoding in encodings]
    return {
        "chunks": len(ingested.texts),
        "characters": sum(map(len, ingested.texts)),
        "tokens": sum(tokens),
        "tokens_read": sum(min(count, TOKENS_READ) for count in tokens),
        "failed": ingested.failed,
        "seconds": ingested.seconds,
    }
