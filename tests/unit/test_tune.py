"""The parts of tuning: the table of candidates, the halves, the choice, and what is hidden while it is made."""

from collections.abc import Sequence

import pytest

from rag.config import ChunkSettings, RetrievalSettings, Settings
from rag.evaluate.questions import Evidence, Question
from rag.evaluate.retrieval import NAMES
from rag.evaluate.run import Result
from rag.tune.candidates import Axis, Candidate, chunk_axes, described, retrieval_axes
from rag.tune.choose import choose, halve
from rag.tune.trials import Trial, hide
from rag.types import Document, Heading

DEFAULT = Candidate(ChunkSettings(), RetrievalSettings())
AXES = retrieval_axes(reranker=False)


def questions(count: int, synthetic: int = 0) -> list[Question]:
    return [Question(f"q{n}", f"{n}?", (Evidence("a", ""),), synthetic=n < synthetic) for n in range(count)]


def test_every_axis_names_a_setting_and_valid_values() -> None:
    for axis in (*chunk_axes(256), *retrieval_axes(reranker=True)):
        for candidate in axis.around(DEFAULT):
            Settings(chunk=candidate.chunk.model_dump(), retrieval=candidate.retrieval.model_dump())
            assert list(candidate.changes(DEFAULT)[axis.section]) == [axis.name]


def test_axis_leaves_out_the_value_that_the_candidate_has() -> None:
    axis = Axis("chunk", "size", (100, 200, 256))
    assert [candidate.chunk.size for candidate in axis.around(DEFAULT)] == [100, 256]


def test_chunk_sizes_end_with_what_the_embedder_reads() -> None:
    assert chunk_axes(128)[0].values == (100, 128)


def test_reranking_is_tried_only_where_there_is_a_reranker() -> None:
    assert "rerank" not in {axis.name for axis in AXES}
    assert "rerank" in {axis.name for axis in retrieval_axes(reranker=True)}


def test_changes_are_what_a_collection_keeps_and_people_read() -> None:
    changed = Candidate(ChunkSettings(size=100), RetrievalSettings(dense_weight=0.9))
    assert changed.changes(DEFAULT) == {"chunk": {"size": 100}, "retrieval": {"dense_weight": 0.9}}
    assert described(changed.changes(DEFAULT)) == "size 100, dense_weight 0.9"
    assert described(DEFAULT.changes(DEFAULT)) == "as it is"
    assert changed.over(Settings()).chunk.size == 100


def test_halves_share_nothing_and_hold_synthetic_questions_alike() -> None:
    asked = questions(41, synthetic=10)
    first, second = halve(asked)
    assert sorted(question.id for question in first + second) == sorted(question.id for question in asked)
    assert (len(first), len(second)) == (21, 20)
    assert sum(question.synthetic for question in first) == sum(question.synthetic for question in second) == 5
    assert halve(asked) == (first, second)
    assert [question.id for question in first] != [question.id for question in asked[::2]]


def attempts(gain: float, noise: float = 0.0) -> object:
    """Score 0.5, more by ``gain`` with vectors alone, and by ``noise`` for every second question."""

    def attempt(candidate: Candidate, asked: Sequence[Question]) -> Trial:
        better = candidate.retrieval.dense_weight == 1.0
        results = []
        for question in asked:
            value = 0.5 + better * (gain + noise * (1 if int(question.id[1:]) % 2 else -1))
            results.append(Result(question.id, question.text, dict.fromkeys(NAMES, value), [], 0.001))
        return Trial(candidate, results, 10, 1.0)

    return attempt


def test_choice_is_kept_when_held_out_questions_show_the_gain() -> None:
    outcome = choose(DEFAULT, AXES, questions(40), attempts(0.1))  # type: ignore[arg-type]
    assert outcome.best.candidate.changes(DEFAULT) == {"retrieval": {"dense_weight": 1.0}}
    assert outcome.is_gain
    assert "The gain is there on 20 held-out questions too: +0.100 ndcg@10" in outcome.conclusion()
    assert len(outcome.trials) == 1 + sum(len(list(axis.around(DEFAULT))) for axis in AXES)


def test_choice_is_not_kept_when_the_gain_may_be_luck() -> None:
    outcome = choose(DEFAULT, AXES, questions(40), attempts(0.02, noise=0.3))  # type: ignore[arg-type]
    assert outcome.best is not outcome.trials[0]
    assert not outcome.is_gain
    assert "No difference shown with 20 held-out questions" in outcome.conclusion()


def test_choice_that_is_worse_on_held_out_questions_is_called_so() -> None:
    tuning, _ = halve(questions(40))
    chosen = {question.id for question in tuning}

    def attempt(candidate: Candidate, asked: Sequence[Question]) -> Trial:
        other = candidate.retrieval.smoothing == 0
        values = {one.id: 0.5 + other * (0.1 if one.id in chosen else -0.1) for one in asked}
        results = [Result(name, name, dict.fromkeys(NAMES, value), [], 0.001) for name, value in values.items()]
        return Trial(candidate, results, 10, 1.0)

    outcome = choose(DEFAULT, AXES, questions(40), attempt)
    assert not outcome.is_gain
    assert outcome.conclusion().startswith("What was best on the other half is worse on 20 held-out questions: -0.100")


def test_too_few_questions_conclude_nothing_however_large_the_gain() -> None:
    outcome = choose(DEFAULT, AXES, questions(19), attempts(0.5))  # type: ignore[arg-type]
    assert outcome.held_out.differences["ndcg@10"].is_shown
    assert not outcome.is_gain
    assert "Nothing can be concluded from 19 questions" in outcome.conclusion()


@pytest.mark.parametrize("gain", [0.0, -0.1])
def test_default_stays_when_nothing_is_better(gain: float) -> None:
    outcome = choose(DEFAULT, AXES, questions(40), attempts(gain))  # type: ignore[arg-type]
    assert outcome.best is outcome.trials[0]
    assert not outcome.is_gain
    assert "Nothing was better than the default on 20 questions" in outcome.conclusion()


def test_hidden_heading_leaves_every_offset_as_it_was() -> None:
    text = "# Badges\n\n## What does a *lost*  badge cost?\n\nFive pounds.\n\n## Visitors\n\nSign in.\n"
    start = text.index("## What")
    headings = (Heading(0, 1, "Badges"), Heading(start, 2, "What does a lost badge cost?"), Heading(60, 2, "Visitors"))
    document = Document("a.md", text, "Badges", headings=headings)
    hidden = hide(document, {"what does a lost badge cost?"})
    assert len(hidden.text) == len(text)
    assert "lost" not in hidden.text
    assert hidden.text.index("Five pounds.") == text.index("Five pounds.")
    assert hidden.headings_at(text.index("Five")) == ("Badges",)
    assert hide(document, {"something else?"}) is document
