"""
The read half: question and hits -> prompt -> tokens -> Answer.

Without a passage that could hold the answer the model is not asked at all. What streams out is what the answer will
be: markers of sources that do not exist are taken out on the way.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from models import base
from models.adapter_store import not_offered
from models.base import Message, SamplingParams
from models.prompt import REFUSAL, Fitted, Passage, abstains, fit, fit_plain
from rag.citations import MarkerFilter, cite
from rag.config import AnswerSettings
from rag.doubt import refused_from
from rag.followup import in_place
from rag.trim import trim
from rag.types import Answer, Citation, Document, Hit, Timings

logger = logging.getLogger(__name__)

AnswerStream = Generator[str | Answer, None, None]
"""The text as it grows, then the Answer; closing it stops the model before its next token."""

OWNER = "owner"
"""The scope of whoever uses the store as a library or from the command line."""

MIN_NEW_TOKENS = 16
"""A prompt may fill the context up to this many tokens, however many new ones were asked for."""


@dataclass(frozen=True, slots=True)
class Question:
    """
    What is asked, and how it is to be answered.

    Attributes:
        text: the question.
        whole: the question together with what it follows, as it is searched for.
        history: earlier turns, oldest first.
        adapter: name of a LoRA adapter, or None for the base model.
        params: how tokens are chosen.
        scope: whose it is; the model's reading of it helps with later questions of the same scope only.
        arrived: ``time.perf_counter()`` at its arrival; every duration counts from here.
    """

    text: str
    whole: str
    history: tuple[Message, ...]
    adapter: str | None
    params: SamplingParams
    scope: str
    arrived: float


def answer_from(
    question: Question,
    hits: Sequence[Hit],
    earlier: Sequence[Sequence[Hit]] = (),
    *,
    collection: str,
    generator: base.Generator,
    settings: AnswerSettings,
    read: Callable[[int], Document],
) -> AnswerStream:
    """
    Answer from passages: yield the text as it grows, then the Answer.

    Args:
        question: what is asked.
        hits: what retrieval found, best first.
        earlier: what it finds for the questions of the conversation, oldest first.
        collection: where it was found.
        generator: the model.
        settings: how many passages, and what counts as a find.
        read: gives a document by its row.

    Raises:
        InputError: the question is too long for the model's context.
        ModelError: the adapter is unknown.
    """
    retrieved = time.perf_counter()
    _require_adapter(question.adapter, generator)
    found = _helpful(hits, settings)
    if not found:
        yield REFUSAL
        said = _Said(REFUSAL, _timings(question, retrieved, retrieved, 0, 0), "stop", None)
        yield _answer(question, generator, said, (), tuple(hits), collection)
        return
    prompt, given = _fit(question, found, earlier, generator, settings)
    # Read before the model begins, so that a document which changes meanwhile cannot break the answer off.
    documents = {hit.document_id: read(hit.document_id) for hit in given}
    opening_from = None if settings.decline_from is None else refused_from(settings.decline_from, given)
    params = replace(question.params, opening=REFUSAL, opening_from=opening_from)
    said = yield from _generate(
        replace(question, params=params), prompt, generator, retrieved, MarkerFilter(len(given))
    )
    citations, sentences = ((), ()) if abstains(said.text) else cite(said.text, given, documents)
    yield replace(_answer(question, generator, said, citations, given, collection), sentences=sentences)


def answer_plainly(question: Question, *, generator: base.Generator) -> AnswerStream:
    """Answer from the model alone: yield the text as it grows, then the Answer; see :func:`answer_from`."""
    retrieved = time.perf_counter()
    budget = _prompt_budget(generator, question.params)
    prompt = fit_plain(question.text, question.history, generator.count_tokens, budget)
    said = yield from _generate(question, prompt, generator, retrieved, None)
    yield _answer(question, generator, said, (), (), None)


def last(stream: AnswerStream) -> Answer:
    """Run a stream to its end and return the Answer."""
    for outcome in stream:
        if isinstance(outcome, Answer):
            return outcome
    raise ValueError("the stream ended without an Answer")


def _require_adapter(name: str | None, generator: base.Generator) -> None:
    """Refuse an unknown adapter even where the model is not asked."""
    if name is not None and name not in generator.adapters:
        raise not_offered(name, generator.name, generator.adapters)


def _helpful(hits: Sequence[Hit], settings: AnswerSettings) -> tuple[Hit, ...]:
    return tuple(hit for hit in hits if _could_help(hit, settings))[: settings.passages]


def _fit(
    question: Question,
    found: tuple[Hit, ...],
    earlier: Sequence[Sequence[Hit]],
    generator: base.Generator,
    settings: AnswerSettings,
) -> tuple[Fitted, tuple[Hit, ...]]:
    """
    Return the prompt and the passages it holds: those of the conversation in their places, if all of it fits.

    Passages that have to be trimmed are trimmed to one question, so they are never held for the next.
    """
    budget = _prompt_budget(generator, question.params)

    def fitted(hits: Sequence[Hit], texts: Sequence[str]) -> Fitted:
        passages = [Passage(hit.label, text) for hit, text in zip(hits, texts, strict=True)]
        return fit(question.text, passages, question.history, generator.count_tokens, budget)

    held: tuple[Hit, ...] = ()
    brought = [*(_helpful(hits, settings) for hits in earlier), found]
    if all(sum(map(len, _texts(hits))) <= settings.context_characters for hits in brought):
        for hits in brought:
            held = in_place(held, hits, settings.passages)
        prompt = fitted(held, _texts(held))
        if prompt.passages == len(held) or held == found:
            return prompt, held[: prompt.passages]
    prompt = fitted(found, trim(_texts(found), question.whole, settings.context_characters))
    return prompt, found[: prompt.passages]  # what this question brought comes before what earlier ones did


def _texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.chunk.read_text for hit in hits]


def _could_help(hit: Hit, settings: AnswerSettings) -> bool:
    """Return whether a passage is near to the question, or shares a word with it."""
    return hit.dense >= settings.min_similarity or hit.lexical > 0


def _prompt_budget(generator: base.Generator, params: SamplingParams) -> int:
    """Leave room for the answer, but never more than half of the context."""
    reserved = max(MIN_NEW_TOKENS, min(params.max_tokens, generator.context_length // 2))
    return generator.context_length - reserved


@dataclass(frozen=True, slots=True)
class _Said:
    """What the model said, or was not asked for."""

    text: str
    timings: Timings
    finish_reason: str
    refusal_probability: float | None
    likelihood: float | None = None
    prompt: tuple[Message, ...] = ()


def _generate(
    question: Question, prompt: Fitted, generator: base.Generator, retrieved: float, markers: MarkerFilter | None
) -> Generator[str, None, _Said]:
    """Yield shown text; return everything that was said."""
    pieces: list[str] = []
    new_tokens, first, logprob, reason = 0, 0.0, 0.0, "stop"
    refusal: float | None = None
    with closing(generator.stream(prompt.messages, question.params, question.adapter, question.scope)) as tokens:
        for token in tokens:
            new_tokens += 1
            logprob += token.logprob
            first = first or time.perf_counter()
            reason = token.finish_reason or reason
            if token.opening_logprob is not None:
                refusal = math.exp(token.opening_logprob)
            piece = markers.feed(token.text) if markers else token.text
            if token.finish_reason and markers:
                piece += markers.close()
            if piece:
                pieces.append(piece)
                yield piece
    timings = _timings(question, retrieved, first, prompt.tokens, new_tokens)
    logger.info(
        "answered: retrieval %.3f s, first token %.3f s, total %.3f s, %d prompt tokens, %d new tokens",
        timings.retrieve_s,
        timings.first_token_s,
        timings.total_s,
        timings.prompt_tokens,
        timings.new_tokens,
    )
    likelihood = math.exp(logprob / new_tokens) if new_tokens else None
    return _Said("".join(pieces).strip(), timings, reason, refusal, likelihood, tuple(prompt.messages))


def _timings(question: Question, retrieved: float, first: float, prompt_tokens: int, new_tokens: int) -> Timings:
    now = time.perf_counter()
    return Timings(
        retrieve_s=retrieved - question.arrived,
        first_token_s=first - question.arrived,
        total_s=now - question.arrived,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
    )


def _answer(
    question: Question,
    generator: base.Generator,
    said: _Said,
    citations: tuple[Citation, ...],
    hits: tuple[Hit, ...],
    collection: str | None,
) -> Answer:
    return Answer(
        text=said.text,
        abstained=collection is not None and abstains(said.text),
        citations=citations,
        hits=hits,
        timings=said.timings,
        model=generator.name,
        adapter=question.adapter,
        collection=collection,
        engine=generator.engine,
        finish_reason=said.finish_reason,
        refusal_probability=said.refusal_probability,
        likelihood=said.likelihood,
        prompt=said.prompt,
    )
