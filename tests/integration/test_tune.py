"""Tuning over real stores: what held-out questions show is kept, and nothing else is touched."""

from pathlib import Path

import pytest

from models.base import InputError
from rag.config import Settings, load
from rag.evaluate.questions import Evidence, Question
from rag.evaluate.statistics import compare
from rag.tune.remember import RememberingEmbedder
from rag.tune.report import outcome_object, outcome_table
from rag.tune.tuning import Tuned, tune_collection
from rag.types import Document, Heading
from rag.workspace import Workspace
from tests.fakes import HashEmbedder

NAMES = [
    f"{first}{last}" for first in ("bar", "cor", "dun", "fel", "gim", "hol") for last in ("ak", "em", "ip", "ot", "ul")
]
FILLER = "It opens at nine. Nobody may enter before. The keys hang in the cabinet of the porter. "


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Vectors alone: with a small hashing embedder they find next to nothing, so that there is something to gain."""
    retrieval = {"dense_weight": 1.0, "opening_weight": 0.0, "smoothing": 0.0}
    return load(data_dir=tmp_path / "data", collection="c", retrieval=retrieval, environment={})


def fill(settings: Settings, embedder: HashEmbedder, documents: list[Document]) -> None:
    with Workspace(settings, embedder=embedder) as workspace:
        workspace.collection("c", create=True).add_documents(documents)


def places() -> list[Document]:
    return [Document(f"{name}.md", f"{FILLER}The {name} house is number {n}.", "House") for n, name in enumerate(NAMES)]


def questions(count: int) -> list[Question]:
    return [
        Question(f"q{n}", f"Where is the {name}?", (Evidence(f"{name}.md", f"The {name} house"),))
        for n, name in enumerate(NAMES[:count])
    ]


def tuned(settings: Settings, embedder: HashEmbedder, asked: list[Question], *, chunking: bool = False) -> Tuned:
    return tune_collection(settings, embedder, asked, 0, chunking=chunking, say=lambda line: None)


def own(settings: Settings, embedder: HashEmbedder) -> object:
    with Workspace(settings, embedder=embedder) as workspace:
        return workspace.store.documents.collection("c").settings


def test_gain_on_held_out_questions_becomes_the_collections_own_settings(settings: Settings) -> None:
    """Vectors of two numbers say nothing, so the words alone find the rare names."""
    embedder = HashEmbedder(dim=2)
    fill(settings, embedder, places())
    found = tuned(settings, embedder, questions(30))
    assert found.outcome.is_gain
    assert found.own["retrieval"]["dense_weight"] < 1
    assert own(settings, embedder) == found.own
    with Workspace(settings, embedder=embedder) as workspace:
        base = workspace.collection("c")
        assert base.settings.retrieval.dense_weight == found.own["retrieval"]["dense_weight"]
        assert base.search("Where is the dunip?")[0].source == "dunip.md"


def test_nothing_is_kept_without_a_gain(settings: Settings) -> None:
    embedder = HashEmbedder(dim=256)
    fill(settings, embedder, [Document("only.md", "One house.", "House"), *places()[:1]])
    asked = [Question(f"q{n}", "One house?", (Evidence("only.md", ""),)) for n in range(24)]
    found = tuned(settings, embedder, asked)
    assert found.outcome.best is found.outcome.trials[0]
    assert found.own == own(settings, embedder) == {}


def test_few_questions_change_nothing(settings: Settings) -> None:
    embedder = HashEmbedder(dim=2)
    fill(settings, embedder, places())
    found = tuned(settings, embedder, questions(12))
    assert "Nothing can be concluded from 12 questions" in found.outcome.conclusion()
    assert own(settings, embedder) == {}


def test_other_chunks_are_tried_on_copies_and_common_ones_are_embedded_once(settings: Settings) -> None:
    """Short documents are one chunk each whatever its size, so only those without prefix are new."""
    embedder = HashEmbedder(dim=256)
    fill(settings, embedder, places())
    embedder.embedded = 0
    found = tuned(settings, embedder, questions(10), chunking=True)
    sample = 30
    assert embedder.embedded == sample + len(NAMES)
    tried = [trial.candidate.changes(found.outcome.trials[0].candidate) for trial in found.outcome.trials]
    assert {"chunk": {"size": 100}} in tried
    assert {"chunk": {"prefix": False}} in tried
    with Workspace(settings, embedder=embedder) as workspace:
        assert [info.name for info in workspace.collections()] == ["c"]
        assert workspace.store.documents.collection("c").chunks == len(NAMES)


def test_winning_chunk_size_cuts_the_collection_anew(settings: Settings) -> None:
    """Behind 150 other words a name is drowned in its chunk's vector; in a shorter chunk it is not."""
    embedder = HashEmbedder(dim=16)
    noise = " ".join(f"{name} sleeps." for name in NAMES)
    documents = [
        Document(f"{name}.md", f"{noise} Then {name} {name} wakes up {name}. {noise}", f"{n}")
        for n, name in enumerate(NAMES)
    ]
    fill(settings, embedder, documents)
    asked = [
        Question(f"q{n}", f"{name} {name} wakes?", (Evidence(f"{name}.md", f"Then {name} {name} wakes up {name}."),))
        for n, name in enumerate(NAMES)
    ]
    before = own(settings, embedder)
    with Workspace(settings, embedder=embedder) as workspace:
        chunks = workspace.store.documents.collection("c").chunks
    found = tuned(settings, embedder, asked, chunking=True)
    assert before == {}
    assert found.outcome.is_gain
    assert found.own["chunk"]["size"] < 200
    with Workspace(settings, embedder=embedder) as workspace:
        info = workspace.store.documents.collection("c")
        assert info.chunks > chunks
        assert info.settings == found.own
        assert workspace.reembed("c").unchanged == len(NAMES)


def test_heading_that_is_the_question_gives_nothing_away(settings: Settings) -> None:
    """The heading stands in a copy's text no more, so the passage is not found by it."""
    embedder = HashEmbedder(dim=256)
    documents = []
    for name in NAMES[:10]:
        text = f"## Where is the {name}?\n\n{FILLER}"
        documents.append(Document(f"{name}.md", text, "House", headings=(Heading(0, 2, f"Where is the {name}?"),)))
    fill(settings, embedder, documents)
    asked = [
        Question(f"q{n}", f"Where is the {name}?", (Evidence(f"{name}.md", "It opens at nine."),), synthetic=True)
        for n, name in enumerate(NAMES[:10])
    ]
    found = tuned(settings, embedder, asked)
    assert found.outcome.trials[0].means["mrr@10"] < 0.6
    assert found.warnings == [
        "10 of 10 questions were written by a program: they compare settings, but tell no quality."
    ]


def test_report_names_every_candidate_with_its_costs(settings: Settings) -> None:
    embedder = HashEmbedder(dim=2)
    fill(settings, embedder, places())
    outcome = tuned(settings, embedder, questions(30)).outcome
    found = outcome_object(outcome)
    assert found["candidates"][0]["settings"] == {}
    assert all(one["search_ms"] > 0 and one["ingest_s"] > 0 and one["chunks"] == 30 for one in found["candidates"])
    assert found["best"] == outcome.best.candidate.changes(outcome.trials[0].candidate)
    assert found["held_out"]["queries"] == 15
    assert outcome_table(outcome).row_count == len(outcome.trials)


@pytest.mark.parametrize("count", [0, 1])
def test_one_question_cannot_be_divided(settings: Settings, count: int) -> None:
    with pytest.raises(InputError, match="cannot be divided"):
        tuned(settings, HashEmbedder(), questions(count))


def test_remembering_embedder_gives_the_vectors_that_the_store_holds(settings: Settings) -> None:
    embedder = HashEmbedder()
    fill(settings, embedder, places())
    remembering = RememberingEmbedder(embedder)
    with Workspace(settings, embedder=embedder) as workspace:
        info = workspace.store.documents.collection("c")
        characters = remembering.learn(workspace.store, info)
        texts = [text for block in workspace.store.passages.texts_between(info.id, 0, 2**60) for _, text in block]
    assert characters == sum(map(len, texts))
    embedder.embedded = 0
    vectors = remembering.embed([texts[3], "new", texts[0], "new"])
    assert embedder.embedded == 1
    assert (
        compare(vectors.ravel().tolist(), embedder.embed([texts[3], "new", texts[0], "new"]).ravel().tolist()).value
        == 0
    )
    assert remembering.embed([]).shape == (0, embedder.dim)
