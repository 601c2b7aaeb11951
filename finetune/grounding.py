"""What an adapter for retrieved passages must do beside answering: cite what holds the answer, or say no."""

from __future__ import annotations

import re
from collections.abc import Mapping

from finetune.examples import Example
from models.prompt import abstains, without_markers
from models.squad import f1

_MARKER = re.compile(r"\s?\[(\d{1,3})\]")


def measure(answer: str, example: Example) -> Mapping[str, float]:
    """
    Score an answer to a grounded example.

    Returns:
        ``refused`` where the expected answer is a refusal; else ``answered``, ``grounded_f1`` (words, markers left out)
        and, where the example says which passages are evidence, ``cited`` (1 if it cites evidence and nothing else).
    """
    if abstains(example.answer):
        return {"refused": float(abstains(answer))}
    found = {
        "answered": float(not abstains(answer)),
        "grounded_f1": f1(without_markers(answer), without_markers(example.answer)),
    }
    evidence = {number for number, source in enumerate(example.sources or (), start=1) if source.evidence}
    if evidence:
        cited = {int(number) for number in _MARKER.findall(answer)}
        found["cited"] = float(bool(cited) and cited <= evidence)
    return found
