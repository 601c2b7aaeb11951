"""The embedder on a random two-layer BERT, and on the default model where it is fetched."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers.utils import logging as transformers_logging

from models import encoder_graph
from models.base import ModelError
from models.embedder import SentenceTransformerEmbedder
from models.store import Model, locate
from tests.fakes import write_tiny_embedder

_TEXTS = ["Plain answers.", "Who may read the documents?", "The house stands on the hill.", "中文 naïve 😀", ""]


def _model(directory: Path) -> Model:
    return Model("tiny", "embedder", directory, "0" * 64, "Apache-2.0", 512)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_embedder(tmp_path_factory.mktemp("tiny"), max_tokens=32)


@pytest.fixture(scope="module")
def embedder(directory: Path) -> SentenceTransformerEmbedder:
    return SentenceTransformerEmbedder(_model(directory), device="cpu")


def test_embedder_returns_one_unit_vector_for_each_text(embedder: SentenceTransformerEmbedder) -> None:
    vectors = embedder.embed(_TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(_TEXTS), embedder.dim)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_embedder_keeps_the_order_of_a_large_batch(embedder: SentenceTransformerEmbedder) -> None:
    texts = [f"{'long ' * (n % 7)}document {n}" for n in range(100)]
    alone = np.stack([embedder.embed([text])[0] for text in texts])
    assert np.abs(embedder.embed(texts) - alone).max() < 1e-5
    assert embedder._bulk not in (None, embedder._network)  # on a CPU, many passages go through the graph


def test_embedder_returns_no_vectors_for_no_texts(embedder: SentenceTransformerEmbedder) -> None:
    vectors = embedder.embed([])
    assert vectors.shape == (0, embedder.dim)
    assert vectors.dtype == np.float32


def test_embedder_embeds_a_question_like_a_passage_without_prefixes(embedder: SentenceTransformerEmbedder) -> None:
    assert embedder.embed_query(_TEXTS[0]) == pytest.approx(embedder.embed(_TEXTS[:1])[0], abs=1e-6)


def test_embedder_that_is_asked_often_makes_a_graph_for_questions(directory: Path) -> None:
    embedder = SentenceTransformerEmbedder(_model(directory), device="cpu")
    expected = [embedder.embed([text])[0] for text in _TEXTS]
    embedder.embed_query(_TEXTS[0])
    assert embedder._for_questions is embedder._network
    for _ in range(2):
        found = [embedder.embed_query(text) for text in _TEXTS]
        assert np.abs(np.stack(found) - expected).max() < 1e-5
        embedder._hastening.join()
    assert embedder._for_questions not in (embedder._network, embedder._bulk)


def test_embedder_lets_others_log_while_it_makes_a_graph(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    levels: set[int] = set()
    with caplog.at_level(logging.INFO):
        embedder = SentenceTransformerEmbedder(_model(directory), device="cpu")
        for _ in range(3):
            embedder.embed_query(_TEXTS[0])
        while embedder._hastening.is_alive():
            levels.add(logging.getLogger().level)
    assert levels == {logging.INFO}


def test_embedder_puts_the_prefixes_in_front(embedder: SentenceTransformerEmbedder, directory: Path) -> None:
    model = replace(_model(directory), query_prefix="who: ", document_prefix="documents name: ")
    prefixed = SentenceTransformerEmbedder(model, device="cpu")
    assert prefixed.embed_query("badge") == pytest.approx(embedder.embed_query("who: badge"), abs=1e-6)
    assert prefixed.embed(["badge"])[0] == pytest.approx(embedder.embed(["documents name: badge"])[0], abs=1e-6)
    assert prefixed.max_tokens == embedder.max_tokens - len(embedder.token_starts("documents name: "))


def test_embedder_reads_max_tokens_and_not_one_more(embedder: SentenceTransformerEmbedder) -> None:
    assert embedder.max_tokens == 30  # 32 less [CLS] and [SEP]
    words = ["badge"] * (embedder.max_tokens - 1)
    full = embedder.embed_query(" ".join([*words, "hill"]))
    assert embedder.embed_query(" ".join([*words, "hill", "desk"])) == pytest.approx(full, abs=1e-6)
    assert embedder.embed_query(" ".join([*words, "desk"])) != pytest.approx(full, abs=1e-4)


def test_embedder_finds_where_tokens_begin(embedder: SentenceTransformerEmbedder) -> None:
    text = "A badge,  naïve 中文"
    starts = embedder.token_starts(text)
    assert starts.dtype == np.int64
    assert {0, 2, 7, 10, 16, 17} <= set(starts.tolist())
    assert (np.diff(starts) > 0).all()
    assert not any(text[start].isspace() for start in starts)
    assert embedder.token_starts("").shape == (0,)


def test_embedder_finds_where_tokens_begin_in_a_text_longer_than_a_slice(embedder: SentenceTransformerEmbedder) -> None:
    line = "The house stands on the hill.\n"
    count = 200_000 // len(line)
    expected = embedder.token_starts(line)[None, :] + np.arange(count)[:, None] * len(line)
    assert (embedder.token_starts(line * count) == expected.ravel()).all()


def test_embedder_finds_where_tokens_begin_in_a_text_without_spaces(embedder: SentenceTransformerEmbedder) -> None:
    assert len(embedder.token_starts("文" * 70_000)) == 70_000


def test_embedder_serves_threads_at_once(embedder: SentenceTransformerEmbedder) -> None:
    expected = embedder.embed(_TEXTS)
    results: list[bool] = []

    def work() -> None:
        for _ in range(5):
            results.append(np.allclose(embedder.embed(_TEXTS * 20)[-len(_TEXTS) :], expected, atol=1e-5))
            results.append(np.allclose(embedder.embed_query(_TEXTS[1]), expected[1], atol=1e-5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert results == [True] * 40


def test_embedder_is_quiet(
    directory: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    transformers_logging.enable_progress_bar()
    embedder = SentenceTransformerEmbedder(_model(directory), device="cpu")
    embedder.token_starts("word " * 300)
    embedder.embed(["word"] * 100)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_embedder_whose_graph_computes_something_else_goes_on_with_torch(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(encoder_graph, "MAX_DISTANCE", -1.0)
    embedder = SentenceTransformerEmbedder(_model(directory), device="cpu")
    assert embedder.embed(["word"] * 100).shape == (100, embedder.dim)
    assert embedder._bulk is embedder._network
    assert "tiny embeds with torch: the lowered encoder computes other vectors" in caplog.text


def test_rounded_embedder_is_another_one_that_computes_nearly_the_same(
    embedder: SentenceTransformerEmbedder, directory: Path
) -> None:
    model = locate(f"{directory}:int8", "embedder")
    assert model.weights_hash != locate(str(directory), "embedder").weights_hash
    assert model.name.endswith(":int8")
    rounded = SentenceTransformerEmbedder(model, device="cpu")
    expected, found = embedder.embed(_TEXTS * 20), rounded.embed(_TEXTS * 20)
    assert (expected * found).sum(axis=1).min() > 0.99
    assert np.abs(expected - found).max() > 1e-6
    assert np.abs(rounded.embed_query(_TEXTS[0]) - found[0]).max() < 1e-5


def test_embedder_names_itself(embedder: SentenceTransformerEmbedder) -> None:
    assert (embedder.name, embedder.weights_hash, embedder.dim) == ("tiny", "0" * 64, 32)


def test_embedder_refuses_a_directory_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"the embedder 'tiny' in .* could not be loaded"):
        SentenceTransformerEmbedder(_model(tmp_path), device="cpu")


@pytest.mark.weights
def test_default_embedder_finds_the_passage_that_answers() -> None:
    embedder = SentenceTransformerEmbedder(locate("all-minilm-l6-v2", "embedder"), device="cpu")
    passages = ["Badges are reset at the front desk.", "The canteen opens at noon.", "Paris is the capital of France."]
    scores = embedder.embed(passages) @ embedder.embed_query("When can I have lunch?")
    assert (embedder.dim, embedder.max_tokens) == (384, 254)
    assert int(scores.argmax()) == 1
