"""What adapters are trained on: the examples as they are, and the same ones with the passages that retrieval finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finetune.encode import encode
from finetune.examples import Example, example
from models.base import InputError
from models.tokenizer import ChatTokenizer
from rag.evaluate.questions import Question, target_of
from rag.ground import Answered, Recipe, ground
from rag.knowledge_base import KnowledgeBase
from scripts.decide.task import Learnt

WITH_EVIDENCE = 0.8
"""Share of the examples that keep their evidence; the others learn to decline. As ``rag.ground`` has it."""


def plain_rows(learnt: Sequence[Learnt]) -> list[dict[str, Any]]:
    """Return the examples without passages, as ``finetune.train`` reads them."""
    return [_plain_row(one.example) for one in learnt]


def grounded_rows(
    base: KnowledgeBase, learnt: Sequence[Learnt], *, passages: int, keeps_form: bool, seed: int
) -> list[dict[str, Any]]:
    """
    Return the examples with the passages that retrieval finds for them; of a conversation, its last question.

    Args:
        base: where passages are looked for.
        learnt: the examples; those with evidence get passages that hold it.
        passages: of each example.
        keeps_form: answers stay as they are, because they have a form of their own: no source's number is put behind
            them, and none becomes a refusal.
        seed: decides which examples lose their evidence, where answers have no form.
    """
    marked = [one for one in learnt if not one.answerable or (one.evidence and _stands(base, one))]
    found = {}
    if marked:
        answered = [_answered(number, one) for number, one in enumerate(marked)]
        recipe = Recipe(passages, 1.0 if keeps_form else WITH_EVIDENCE, seed=seed)
        found = {int(row["id"]): row for row in ground(base, answered, recipe)}
    rows = []
    for number, one in enumerate(marked):
        if number in found:
            answer = one.example.answer if keeps_form else found[number]["answer"]
            rows.append(_row(one, found[number]["context"], answer))
    for one in learnt:
        if one.evidence or not one.answerable:
            continue
        hits = base.search(one.example.question, passages)
        context = [{"title": hit.label, "text": hit.chunk.read_text} for hit in hits]
        if context:
            rows.append(_row(one, context, one.example.answer))
    return rows


def shortened(rows: Sequence[dict[str, Any]], tokenizer: ChatTokenizer, max_length: int) -> list[dict[str, Any]]:
    """
    Leave the last passages of examples out that would be too long to learn from.

    Where a passage is known to hold the answer, the training itself knows which ones to leave out.

    Raises:
        InputError: one is too long all the same.
    """
    return [_shortened(row, tokenizer, max_length) for row in rows]


def _shortened(row: dict[str, Any], tokenizer: ChatTokenizer, max_length: int) -> dict[str, Any]:
    try:
        encode(example(row, ""), tokenizer, max_length)
    except InputError as error:
        if len(row["context"]) > 1 and not any(one.get("evidence") for one in row["context"]):
            return _shortened(row | {"context": row["context"][:-1]}, tokenizer, max_length)
        raise InputError(f"training.max_length: the example {row['question'][:80]!r} {error}; raise it.") from error
    return row


def _plain_row(one: Example) -> dict[str, Any]:
    prompt = [{"role": turn.role, "content": turn.content} for turn in one.history]
    prompt.append({"role": "user", "content": one.question})
    if one.learns_history:
        return {"messages": [*prompt, {"role": "assistant", "content": one.answer}]}
    return {"prompt": prompt, "completion": one.answer}


def _stands(base: KnowledgeBase, one: Learnt) -> bool:
    """Return whether the collection holds an example's evidence."""
    sources = base.sources()
    return any(
        place.source in sources and target_of(place, base.document(sources[place.source]).text).spans != ()
        for place in one.evidence
    )


def _answered(number: int, one: Learnt) -> Answered:
    evidence = one.evidence if one.answerable else ()
    about = one.evidence[0].source if one.evidence else None
    return Answered(Question(str(number), one.example.question, evidence), one.example.answer, about)


def _row(one: Learnt, context: Sequence[dict[str, Any]], answer: str) -> dict[str, Any]:
    system = next((turn.content for turn in one.example.history if turn.role == "system"), None)
    row = {"question": one.example.question, "context": list(context), "answer": answer}
    return row | ({"system": system} if system else {})
