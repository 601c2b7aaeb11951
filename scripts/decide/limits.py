"""What cannot be concluded, and why: said in plain sentences, and a winner is then named by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.prepare import LEAST_ROWS
from rag.evaluate.statistics import FEW
from scripts.decide.compare import FEWEST_GROUPS, groups
from scripts.decide.measure import PRIMARY, can_be_looked_up, holds
from scripts.decide.task import Asked
from scripts.decide.wording import contains

FEW_DOCUMENTS = 20
"""From fewer documents an interval by drawing documents is rough."""

FEW_ANSWERABLE = 15
"""With fewer questions that have an answer, declining is what decides."""

LEAST_EXAMPLES = 2 * LEAST_ROWS
"""With fewer, more are held back by the training's own gate than are learnt."""

NAMED = 5
HALF = 0.5

Values = npt.NDArray[np.float64]
Tables = Mapping[str, Mapping[str, Values]]


@dataclass(frozen=True, slots=True)
class Limit:
    """
    Something that cannot be concluded.

    Attributes:
        sentence: what, and why.
        forbids: which arms must not win because of it; empty for a remark only.
        yields_to_gain: whether it holds only for arms that are not shown to beat the model as it is.
    """

    sentence: str
    forbids: tuple[str, ...] = ()
    yields_to_gain: bool = False


SEARCHING = ("retrieval", "both", "grounded")
TRAINED = ("adapter", "both", "grounded")
ALL = ("base", "retrieval", "adapter", "both", "grounded")


@dataclass(frozen=True, slots=True)
class Held:
    """
    How many test questions the documents can answer at all.

    Attributes:
        looked_up: those for which that can be looked up.
        stand: those of them whose answer stood there.
        strangers: documents that questions name as evidence, and that are not there.
    """

    looked_up: int
    stand: int
    strangers: tuple[str, ...] = ()


def of_test(asked: Sequence[Asked]) -> list[Limit]:
    """Return what the test set does not allow to conclude, before anything is measured."""
    limits = []
    if len(asked) < FEW:
        limits.append(
            Limit(
                f"{len(asked)} test questions are too few to name a winner: by chance alone one way may answer several "
                f"more than another. The figures are shown; give at least {FEW} questions, 100 to show differences of "
                "some ten points.",
                ALL,
            )
        )
    answerable = sum(one.answerable for one in asked)
    if answerable < FEW_ANSWERABLE <= len(asked):
        limits.append(
            Limit(
                f"{answerable or 'None'} of the {len(asked)} test questions {'has' if answerable == 1 else 'have'} an "
                "answer: the test tells who declines, and hardly who answers rightly. Add questions with an answer.",
                ALL,
            )
        )
    known = sum(bool(one.references) or not one.answerable for one in asked)
    if known < min(FEW, len(asked)):
        what = "no test question has references" if not known else f"only {known} test questions have references"
        measured = "the form of answers" if any(one.form for one in asked) else "speed and cost"
        limits.append(
            Limit(
                f"{what[0].upper()}{what[1:]}, so whether answers are right cannot be measured; only {measured} can. "
                "Add `references` to the test file.",
                ALL,
            )
        )
    return [*limits, *_of_groups(asked)] if len(asked) >= FEW else limits


def _of_groups(asked: Sequence[Asked]) -> list[Limit]:
    """Return what follows from questions that are about the same documents, and right or wrong together."""
    documents, drawn = len({one.cluster for one in asked}), len(set(groups(asked)))
    if drawn < FEWEST_GROUPS:
        return [
            Limit(
                f"The {len(asked)} questions are about {drawn} passages of {documents} documents only, and questions "
                "about one passage are right or wrong together: no number of them shows a difference. Ask about other "
                "passages, or other documents.",
                ALL,
            )
        ]
    if documents < FEWEST_GROUPS:
        return [
            Limit(
                f"The {len(asked)} questions are about {documents} documents only. They are drawn by the {drawn} "
                "passages that answer them, as if passages of one document had nothing in common, so the intervals are "
                "rather too narrow."
            )
        ]
    if documents < FEW_DOCUMENTS:
        return [
            Limit(
                f"The {len(asked)} questions are about {documents} documents only. Questions about one document are "
                "right or wrong together, so the intervals are rough."
            )
        ]
    return []


def of_documents(held: Held | None) -> list[Limit]:
    """Return what the documents do not allow to conclude."""
    if held is None:
        return []
    if held.strangers:
        named = ", ".join(held.strangers[:NAMED]) + (", …" if len(held.strangers) > NAMED else "")
        return [
            Limit(
                f"Questions name documents as evidence that are not there: {named}. Whether these were found cannot be "
                "told; name them as the collection does."
            )
        ]
    if not held.looked_up:
        return []
    if held.stand == 0:
        return [
            Limit(
                f"The documents hold the answer to none of the {held.looked_up} test questions for which that can be "
                "looked up. Nothing can be concluded about retrieval: it had nothing to find. Index the documents that "
                "hold the answers, or correct the references.",
                SEARCHING,
                yields_to_gain=True,
            )
        ]
    if held.stand < HALF * held.looked_up:
        return [
            Limit(
                f"The documents hold the answer to {held.stand} of the {held.looked_up} test questions for which that "
                "can be looked up. How good retrieval would be with the missing documents cannot be concluded."
            )
        ]
    return []


def of_results(tables: Tables) -> list[Limit]:
    """Return what the results do not allow to conclude."""
    limits = []
    forms = [table["form"] for table in tables.values() if "form" in table]
    required = bool(forms) and float(np.mean(~np.isnan(forms[0]))) > HALF
    if required and not any(np.nansum(values) for values in forms):
        limits.append(
            Limit(
                "No way ever met the required form. Either no answer of this model can have it, or the schema or "
                "pattern is wrong: check it with an answer written by hand. Nothing can be concluded about "
                "correctness either.",
                ALL,
            )
        )
    rights = [table[PRIMARY][~np.isnan(table[PRIMARY])] for table in tables.values() if PRIMARY in table]
    if rights and not limits:
        if not any(values.any() for values in rights):
            sentence = (
                "No way answered a single question: the task is too hard for this model, or the references are wrong."
            )
            limits.append(Limit(f"{sentence} The test decides nothing.", ALL))
        elif all((values == 1).all() for values in rights):
            limits.append(Limit("Every way answered every question: the test is too easy and decides nothing.", ALL))
    return limits


def of_adapters(names: Sequence[str]) -> list[Limit]:
    """Return what cannot be known of adapters that were there already."""
    if not names:
        return []
    told = " and ".join(names)
    return [Limit(f"What {told} learnt from is not known here; test questions that were among it would flatter it.")]


def of_examples(too_few: Mapping[str, int], *, rest: bool) -> list[Limit]:
    """
    Return what was not trained because there are too few examples.

    Args:
        too_few: how many there are, of each kind that was left out.
        rest: whether anything is left to compare the model with.
    """
    if not too_few:
        return []
    sentence = (
        f"{min(too_few.values())} examples are too few to learn from, because {LEAST_ROWS} of them are held back to "
        f"watch the training: what would be trained on them was not measured. Give at least {LEAST_EXAMPLES}."
    )
    return [Limit(sentence, () if rest else ALL)]


def of_arms(*, searches: bool, trained: bool, grounded: bool) -> list[Limit]:
    """Return which ways were not measured, and what that leaves open."""
    if not searches and not trained:
        sentence = (
            "Only the model as it is was measured: the settings name neither documents nor train. There is nothing"
        )
        return [Limit(f"{sentence} to compare it with.", ALL)]
    limits = []
    if not searches:
        limits.append(Limit("Retrieval was not measured: the settings name neither documents nor a collection."))
    if not trained:
        limits.append(Limit("Fine-tuning was not measured: the settings name neither train nor an adapter."))
    if searches and trained and not grounded:
        limits.append(
            Limit("Training with retrieved passages was not measured: there is no adapter that was trained with any.")
        )
    return limits


def held(asked: Sequence[Asked], documents: Iterable[tuple[str, str]], score: str) -> Held:
    """
    Count the questions whose answer stands in the documents.

    Args:
        asked: the questions; those with evidence are looked up by its quotes, others by their references.
        documents: source and text of each.
        score: what makes an answer right, which tells whether references are words to look up.
    """
    looked_up = [one for one in asked if one.answerable and can_be_looked_up(one, score)]
    missing = dict(enumerate(looked_up))
    strangers = {one.source: None for question in looked_up for one in question.evidence}
    for source, text in documents:
        strangers.pop(source, None)
        missing = {number: one for number, one in missing.items() if not _stands(one, source, text)}
    return Held(len(looked_up), len(looked_up) - len(missing), tuple(strangers))


def _stands(asked: Asked, source: str, text: str) -> bool:
    if asked.evidence:
        return any(one.source == source and holds(text, one) for one in asked.evidence)
    return any(contains(text, wanted) for wanted in asked.references)
