"""Questions whose answers are known, given as text in place of a file: read for both measurements at once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.base import InputError
from rag.evaluate import asked as answered
from rag.evaluate import questions as judged
from rag.evaluate.asked import Asked
from rag.evaluate.questions import Question
from rag.evaluate.rows import Problems, Row, read_rows


@dataclass(frozen=True, slots=True)
class Known:
    """
    Questions of one set.

    Attributes:
        rows: as they came.
        judged: those with evidence, which retrieval is measured by.
        without: how many have none.
        asked: all of them with their answers; empty where no answer is known.
    """

    rows: tuple[Mapping[str, Any], ...]
    judged: tuple[Question, ...]
    without: int
    asked: tuple[Asked, ...]


class _AnyRow(Row):
    question: str
    evidence: list[dict[str, Any]] = []
    answer: str = ""
    answers: list[str] = []
    answerable: bool = True


def read(text: str, name: str) -> Known:
    """
    Read questions.

    Args:
        text: one JSON object a line.
        name: what messages call it.

    Raises:
        InputError: lines are malformed (every one is named), or nothing can be measured with them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "questions"
        path.write_text(text, encoding="utf-8")
        try:
            return _read(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from error


def _read(path: Path) -> Known:
    problems = Problems()
    rows = [row for _, row in read_rows(path, _AnyRow, problems)]
    problems.raise_if_any()
    with_evidence = any(row.evidence and row.answerable for row in rows)
    with_answers = any(row.answerable and (row.answer.strip() or any(map(str.strip, row.answers))) for row in rows)
    if not with_evidence and not with_answers:
        raise InputError(
            f"{path} holds no question with evidence or an answer; expected lines like "
            '{"question": "…", "answer": "…", "evidence": [{"source": "a.md", "quote": "…"}]}.'
        )
    questions, without = judged.read_questions(path) if with_evidence else ([], len(rows))
    asked = answered.read_questions(path) if with_answers else []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return Known(tuple(json.loads(line) for line in lines if line.strip()), tuple(questions), without, tuple(asked))
