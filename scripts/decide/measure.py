"""Outputs scored: is an answer right, in the required form, grounded; and where it fails, why."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from finetune.scores import field_f1
from models.prompt import abstains, without_markers
from models.squad import f1, same
from rag.evaluate.answers import SUPPORTED
from rag.evaluate.questions import Evidence
from scripts.decide.arms import Arm
from scripts.decide.cache import Output
from scripts.decide.config import DecideConfig
from scripts.decide.form import executes_alike, is_json, parsed, said_in
from scripts.decide.task import Asked
from scripts.decide.wording import contains, stand, words

Values = npt.NDArray[np.float64]

PRIMARY = "right"
MEASURES = {
    PRIMARY: "right and in the required form; where there is no answer, declined (this decides)",
    "exact": "the words of a reference, and no others",
    "f1": "words shared with a reference, as SQuAD counts",
    "contains": "a reference stands in the answer",
    "fields": "share of right fields of a JSON answer",
    "execution": "the query returns the rows of the reference",
    "form": "in the required form",
    "found": "the evidence was among the passages",
    "supported": "citations whose quote holds half of the claim's words",
    "cited": "answers that cite a right document",
    "declined": "questions without an answer that were declined",
    "answered": "questions with an answer that were not declined",
}
"""Measures in the order in which they are shown, with what they mean."""

SURE = 0.5
"""Below this an answer counts as failed, where a score is a share and not a yes or no."""

SHORT_WORDS = 6
"""References of more words are sentences."""

LEAST_OF_QUOTE = 4
"""Half a quote counts as found from so many words on; fewer stand anywhere."""

_NOT_KNOWN = re.compile(
    r"\b(?:i (?:do not|don['’]t) know|i['’]m not sure|i am not sure|(?:is|are) not (?:mentioned|specified|stated)|"
    r"no information (?:is|was) given)\b",
    re.IGNORECASE,
)
"""A model without sources declines in its own words."""

NOT_RETRIEVED = "not retrieved"
IGNORED = "retrieved and ignored"
WRONG_FORM = "wrong format"
DECLINED = "declined, though there is an answer"
MADE_UP = "answered, though there is no answer"
WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Scored:
    """
    An output with its scores.

    Attributes:
        asked: the question.
        output: what came.
        scores: numbers in ``[0, 1]`` by name, only those that the question has.
        cause: why it failed; empty where it did not, or where nothing tells.
    """

    asked: Asked
    output: Output
    scores: dict[str, float]
    cause: str


def score(asked: Asked, output: Output, arm: Arm, config: DecideConfig) -> Scored:
    """Score what an arm made of a question."""
    text = output.text.strip()
    said = said_in(text, config.form.answer_field)
    declined = declines(said)
    scores: dict[str, float] = {}
    if asked.form is not None:
        scores["form"] = float(asked.form.fits(text))
    if asked.references:
        scores |= _content(spoken(asked, text, config), asked.references, config)
    if arm.searches:
        scores |= _grounding(asked, output, config.score, declined=declined)
    if asked.answerable:
        scores["answered"] = float(not declined)
    else:
        scores["declined"] = float(declined)
    right = _right(asked, scores, config, declined=declined)
    if right is not None:
        scores[PRIMARY] = right
    return Scored(asked, output, scores, _cause(asked, scores, arm, declined=declined))


def spoken(asked: Asked, text: str, config: DecideConfig) -> str:
    """Return what of an answer is compared with references: without the numbers of its sources, if these are such."""
    said = said_in(text, config.form.answer_field)
    is_whole = said == text
    has_form = is_whole and asked.form is not None
    # A whole answer of [1] names a source where words are asked for, and is a list where JSON is.
    is_value = is_json(said) and not (is_whole and said.startswith("[") and config.score != "fields")
    return said if has_form or is_value or config.score == "execution" else without_markers(said)


def declines(text: str) -> bool:
    """Return whether an answer says that it is none."""
    return abstains(text) or bool(_NOT_KNOWN.search(text))


def _content(said: str, references: Sequence[str], config: DecideConfig) -> dict[str, float]:
    def best(compare: Callable[[str, str], float]) -> float:
        return max(compare(said, wanted) for wanted in references)

    if config.score == "fields":
        value = parsed(said)
        return {
            "fields": max(field_f1(value, parsed(wanted)) for wanted in references) if is_json(said) else 0.0,
            "exact": float(any(value == parsed(wanted) for wanted in references)),
        }
    if config.score == "execution" and config.form.database is not None:
        database = config.form.database
        return {"execution": max(executes_alike(database, said, wanted) for wanted in references)}
    return {"exact": best(same), "f1": best(f1), "contains": best(contains)}


def _grounding(asked: Asked, output: Output, score: str, *, declined: bool) -> dict[str, float]:
    scores = {}
    found = was_found(asked, output, score)
    if found is not None and asked.answerable:
        scores["found"] = float(found)
    if declined or not output.new_tokens:
        return scores
    backed = [one.support >= SUPPORTED for one in output.citations]
    scores["supported"] = sum(backed) / len(backed) if backed else 0.0
    sources = {one.source for one in asked.evidence}
    if sources and asked.answerable:
        scores["cited"] = float(any(one.source in sources for one in output.citations))
    return scores


def can_be_looked_up(asked: Asked, score: str) -> bool:
    """
    Return whether it can be told that a text holds the answer: by its evidence, or by a reference of a few words.

    Whole sentences, fields and queries seldom stand anywhere word by word.
    """
    if asked.evidence or score in ("fields", "execution"):
        return bool(asked.evidence)
    return any(len(words(wanted)) <= SHORT_WORDS for wanted in asked.references)


def was_found(asked: Asked, output: Output, score: str) -> bool | None:
    """Return whether the answer was among the passages; None where that cannot be told."""
    if not can_be_looked_up(asked, score):
        return None
    if asked.evidence:
        return any(
            passage.source == one.source and holds(passage.text, one)
            for passage in output.passages
            for one in asked.evidence
        )
    return any(contains(passage.text, wanted) for passage in output.passages for wanted in asked.references)


def holds(text: str, evidence: Evidence) -> bool:
    """Return whether a text holds evidence: its quote, or either half of a long one, word by word."""
    quoted = words(evidence.quote)
    if not quoted:
        return True
    middle = (len(quoted) + 1) // 2
    halves = [quoted[:middle], quoted[middle:]] if len(quoted) >= 2 * LEAST_OF_QUOTE else []
    return any(stand(part, text) for part in (quoted, *halves))


def _right(asked: Asked, scores: dict[str, float], config: DecideConfig, *, declined: bool) -> float | None:
    """Return the number that decides; None where the test file does not say what is right."""
    in_form = scores.get("form", 1.0)
    content = scores.get(config.score)
    if not asked.answerable:
        return max(float(declined), (content or 0.0) * in_form)
    if content is None:
        return None
    return content * in_form


def _cause(asked: Asked, scores: dict[str, float], arm: Arm, *, declined: bool) -> str:
    if scores.get(PRIMARY, scores.get("form", 1.0)) >= SURE:
        return ""
    if not asked.answerable:
        return MADE_UP
    if scores.get("found") == 0:
        return NOT_RETRIEVED
    if declined:
        return DECLINED
    if scores.get("form") == 0:
        return WRONG_FORM
    return IGNORED if arm.searches and "found" in scores else WRONG


def table(scored: Sequence[Scored]) -> dict[str, Values]:
    """Return each measure as one number per question, NaN where a question does not have it."""
    names = [name for name in MEASURES if any(name in one.scores for one in scored)]
    return {name: np.array([one.scores.get(name, np.nan) for one in scored]) for name in names}
