"""Questions that a program writes: where they come from, which are dropped, and why."""

from collections.abc import Sequence

import pytest

from models.prompt import Passage, asking
from rag.evaluate.questions import locate
from rag.tune.author import Author, Written, heading_questions
from rag.types import Document, Heading
from tests.fakes import HashEmbedder, ScriptedGenerator

BODY = (
    "A lost badge is replaced at the front desk for five pounds. Bring an identity card, or nobody will let you in "
    "before the desk has called your manager."
)
PASSAGE = Passage("Badges", BODY)
COMMON = ["Who gets much of what a badge costs?"] * 50


def document(name: str, text: str, *titles: str) -> Document:
    headings = tuple(Heading(text.index(title) - 3, 2, title) for title in titles)
    return Document(name, text, "Badges", headings=headings)


def author(replies: Sequence[str] = ("?",), chunks: Sequence[str] = COMMON) -> Author:
    return Author(ScriptedGenerator(replies), HashEmbedder(), 0.1, chunks)


def written(found: Author, wanted: int, *documents: Document) -> Written:
    *_, last = found.write(wanted, range(len(documents)), documents.__getitem__)
    return last


@pytest.mark.parametrize(
    ("question", "fault"),
    [
        ("What is the price of a replacement badge?", ""),
        ("The badge is replaced at the desk.", "no question"),
        ("A badge?", "no question"),
        ("badge " * 40 + "?", "no question"),
        ("Which wines go with a roasted goose?", "about something else"),
        ("How much does a lost badge cost?", "no rare word of its own"),
        ("Who gets an identity badge at the front desk?", "no rare word of its own"),
    ],
)
def test_question_is_dropped_for_a_reason(question: str, fault: str) -> None:
    assert author().fault(question, PASSAGE) == fault


def test_question_is_dropped_the_second_time() -> None:
    judge = author()
    assert judge.fault("What is the price of a replacement badge?", PASSAGE) == ""
    assert judge.fault("What is the price of replacement badges?", PASSAGE) == "asked before"


def test_written_questions_name_the_passage_that_they_are_about() -> None:
    page = document("badges.md", f"## Badges\n\n{BODY}\n")
    found = written(author(["What is the price of a replacement badge? And more."]), 1, page)
    (question,) = found.questions
    assert (question.text, question.synthetic) == ("What is the price of a replacement badge?", True)
    assert (found.asked, found.headings, found.dropped.total()) == (1, 0, 0)
    targets, lost = locate(found.questions, lambda source: page.text)
    assert lost == []
    ((start, end),) = targets[question.id][0].spans or ()
    assert page.text[start:end] in BODY


def test_headings_that_are_questions_come_first_and_cost_nothing() -> None:
    page = document(
        "faq.md",
        f"## What does a badge cost?\n\n{BODY}\n\n## Really?\n\n{BODY}\n",
        "What does a badge cost?",
        "Really?",
    )
    assert [text for text, _ in heading_questions(page)] == ["What does a badge cost?"]
    found = written(author(), 1, page)
    assert [question.text for question in found.questions] == ["What does a badge cost?"]
    assert (found.headings, found.asked) == (1, 0)
    assert BODY.startswith(found.questions[0].evidence[0].quote)


def test_tables_lists_and_code_are_no_passages() -> None:
    page = document("a.md", "| lost | badge |\n\n" + "- item and more words to make it long\n" * 9 + "\n    code = 1\n")
    found = written(author(), 2, page)
    assert found.questions == []
    assert found.dropped == {"no sentences to ask about": found.asked}


def test_writing_ends_when_too_much_is_dropped() -> None:
    found = written(author(["Nothing."]), 3, document("a.md", BODY))
    assert found.questions == []
    assert found.dropped == {"no question": found.asked}
    assert found.asked == 15


def test_writing_is_the_same_every_time() -> None:
    pages = [document(f"{n}.md", BODY.replace("five", f"{n}")) for n in range(9)]
    replies = [f"What is the price of replacement number {n} of a badge?" for n in range(9)]
    assert written(author(replies), 5, *pages) == written(author(replies), 5, *pages)


def test_prompt_shows_examples_and_ends_with_the_passage() -> None:
    messages = asking(PASSAGE)
    assert [message.role for message in messages] == ["system", *("user", "assistant") * 3, "user"]
    assert messages[-1].content == f"Badges\n{BODY}"
    assert all(message.content.endswith("?") for message in messages if message.role == "assistant")
