"""The reranker on a random two-layer cross-encoder, alone and as the last step of retrieval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.base import ModelError
from models.reranker import CrossEncoderReranker
from models.store import Model
from rag.config import load
from rag.types import Document
from rag.workspace import Workspace
from tests.fakes import HashEmbedder, ScriptedGenerator, write_tiny_reranker

QUESTION = "Who may read the documents?"
PASSAGES = ["The house stands on the hill.", "Which documents does the handbook name?", "A badge is reset."]


def model_in(directory: Path) -> Model:
    return Model("tiny", "reranker", directory, "0" * 64, "Apache-2.0", 64)


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderReranker:
    return CrossEncoderReranker(model_in(write_tiny_reranker(tmp_path_factory.mktemp("tiny"))), device="cpu")


def workspace(tmp_path: Path, reranker: CrossEncoderReranker | None, **retrieval: int) -> Workspace:
    settings = load(data_dir=tmp_path, retrieval=retrieval, environment={})
    return Workspace(settings, embedder=HashEmbedder(), generator=ScriptedGenerator("x"), reranker=reranker)


def documents() -> list[Document]:
    return [
        Document(f"{row}.txt", f"{passage} It is entry number {row} of the register.", f"Entry {row}")
        for row, passage in enumerate(PASSAGES * 3)
    ]


def test_reranker_gives_each_passage_a_score_between_0_and_1(reranker: CrossEncoderReranker) -> None:
    scores = reranker.score(QUESTION, PASSAGES)
    assert scores.dtype == np.float32
    assert scores.shape == (3,)
    assert ((scores > 0) & (scores < 1)).all()
    np.testing.assert_allclose(scores[1], reranker.score(QUESTION, PASSAGES[1:2])[0], atol=1e-5)


def test_reranker_reads_question_and_passage_together(reranker: CrossEncoderReranker) -> None:
    assert reranker.score(QUESTION, PASSAGES[:1])[0] != reranker.score("On a hill?", PASSAGES[:1])[0]


def test_reranker_without_passages_gives_an_empty_array(reranker: CrossEncoderReranker) -> None:
    assert reranker.score(QUESTION, []).shape == (0,)


def test_reranker_with_several_outputs_is_refused(tmp_path: Path) -> None:
    directory = write_tiny_reranker(tmp_path / "three", labels=3)
    with pytest.raises(ModelError, match="gives 3 scores for a pair; expected one"):
        CrossEncoderReranker(model_in(directory), device="cpu")


def test_reranker_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="could not be loaded"):
        CrossEncoderReranker(model_in(tmp_path), device="cpu")


def test_search_orders_the_passages_that_were_read_again_by_relevance(
    tmp_path: Path, reranker: CrossEncoderReranker
) -> None:
    with workspace(tmp_path, reranker, rerank=4) as opened:
        base = opened.collection("c", create=True)
        base.add_documents(documents())
        hits = base.search(QUESTION, 9)
    read = [hit for hit in hits if hit.relevance is not None]
    assert hits[:4] == read
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    texts = [hit.chunk.searched_text(hit.title) for hit in read]
    np.testing.assert_allclose([hit.relevance for hit in read], reranker.score(QUESTION, texts), atol=1e-5)


def test_search_without_a_reranker_has_no_relevance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "no models"))
    with workspace(tmp_path / "data", None) as opened:
        base = opened.collection("c", create=True)
        base.add_documents(documents())
        assert {hit.relevance for hit in base.search(QUESTION, 3)} == {None}


def test_search_with_a_reranker_that_is_not_there_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEGROUND_MODELS_DIR", str(tmp_path / "no models"))
    settings = load(data_dir=tmp_path / "data", reranker="ms-marco-minilm-l6-v2", environment={})
    with Workspace(settings, embedder=HashEmbedder(), generator=ScriptedGenerator("x")) as opened:
        base = opened.collection("c", create=True)
        base.add_documents(documents())
        with pytest.raises(ModelError, match=r"python -m models\.fetch ms-marco-minilm-l6-v2"):
            base.search(QUESTION)
