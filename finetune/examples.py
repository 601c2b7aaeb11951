"""
Examples as people write them, in any of five forms, become one form; what cannot be used is named with its line.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}     chat
    {"prompt": "…", "completion": "…"}                                          or both as lists of messages
    {"instruction": "…", "input": "…", "output": "…"}                                           alpaca
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}         sharegpt
    {"question": "…", "context": [{"title": "…", "text": "…", "evidence": true}], "answer": "…"} grounded

``system`` beside any of them gives the system turn. In chats every assistant turn is learnt, elsewhere the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from models.base import InputError, Message, Role
from models.prompt import Passage, grounded, plain

SHAREGPT_ROLES: Mapping[str, Role] = {
    "system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """A passage of a grounded example; ``evidence`` where it holds the answer."""

    passage: Passage
    evidence: bool


@dataclass(frozen=True, slots=True)
class Example:
    """
    One conversation to learn from.

    Attributes:
        place: where it stands, for messages: file and line.
        history: the turns before the last question; a system turn, if any, comes first.
        question: the last user turn.
        answer: what follows it.
        sources: the retrieved passages; None for an example without retrieval.
        learns_history: whether earlier assistant turns are learnt too.
    """

    place: str
    history: tuple[Message, ...]
    question: str
    answer: str
    sources: tuple[Source, ...] | None = None
    learns_history: bool = False

    @property
    def prompt(self) -> tuple[Message, ...]:
        """The turns up to the answer, worded as serving words them."""
        if self.sources is None:
            return plain(self.question, self.history)
        return grounded(self.question, [source.passage for source in self.sources], self.history)

    @property
    def holds_evidence(self) -> bool:
        """Whether one of its passages holds the answer."""
        return any(source.evidence for source in self.sources or ())


def _is_text(value: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("holds half a surrogate pair, which is no character")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


Text = Annotated[str, Field(strict=True), AfterValidator(_is_text)]
Said = Annotated[Text, AfterValidator(_not_blank)]


class _Row(BaseModel):
    """What rows may hold; further keys (ids, scores) are left alone."""

    model_config = ConfigDict(extra="ignore")
    system: Text | None = None

    def head(self) -> tuple[Message, ...]:
        return (Message("system", self.system),) if self.system else ()


class _Turn(BaseModel):
    role: Literal["system", "user", "assistant"]
    content: Said

    @property
    def message(self) -> Message:
        return Message(self.role, self.content)


class _Chat(_Row):
    messages: list[_Turn] = Field(min_length=2)

    def example(self, place: str) -> Example:
        turns = [turn.message for turn in self.messages]
        return _conversation(place, [*self.head(), *turns], learns_history=True)


class _ShareTurn(BaseModel):
    speaker: Literal["system", "human", "user", "gpt", "assistant"] = Field(alias="from")
    value: Said


class _ShareGpt(_Row):
    conversations: list[_ShareTurn] = Field(min_length=2)

    def example(self, place: str) -> Example:
        turns = [Message(SHAREGPT_ROLES[turn.speaker], turn.value) for turn in self.conversations]
        return _conversation(place, [*self.head(), *turns], learns_history=True)


class _Completion(_Row):
    prompt: Said | Annotated[list[_Turn], Field(min_length=1)]
    completion: Said | Annotated[list[_Turn], Field(min_length=1, max_length=1)]

    def example(self, place: str) -> Example:
        before = [Message("user", self.prompt)] if isinstance(self.prompt, str) else [t.message for t in self.prompt]
        answer = self.completion if isinstance(self.completion, str) else self.completion[0].content
        turns = [*self.head(), *before, Message("assistant", answer)]
        return _conversation(place, turns, learns_history=False)


class _Alpaca(_Row):
    instruction: Said
    input: Text | None = None
    output: Said

    def example(self, place: str) -> Example:
        question = f"{self.instruction}\n\n{self.input}" if self.input and self.input.strip() else self.instruction
        return Example(place, self.head(), question, self.output)


class _Context(BaseModel):
    title: Text = ""
    text: Said
    evidence: bool = False


def _contexts(value: Any) -> Any:  # noqa: ANN401 - what a row says before it is checked
    several = value if isinstance(value, list) else [value]
    return [{"text": one} if isinstance(one, str) else one for one in several]


class _Grounded(_Row):
    question: Said
    context: Annotated[list[_Context], BeforeValidator(_contexts), Field(min_length=1)]
    answer: Said

    def example(self, place: str) -> Example:
        sources = tuple(Source(Passage(one.title, one.text), one.evidence) for one in self.context)
        return Example(place, self.head(), self.question, self.answer, sources)


class _Answered(_Row):
    question: Said
    answer: Said

    def example(self, place: str) -> Example:
        return Example(place, self.head(), self.question, self.answer)


FORMS: Sequence[tuple[tuple[str, ...], type[_Chat | _ShareGpt | _Completion | _Alpaca | _Grounded | _Answered]]] = (
    (("messages",), _Chat),
    (("conversations",), _ShareGpt),
    (("prompt", "completion"), _Completion),
    (("instruction", "output"), _Alpaca),
    (("question", "context", "answer"), _Grounded),
    (("question", "answer"), _Answered),
)
"""The keys that tell a form, the first that fits."""


def example(row: object, place: str) -> Example:
    """
    Make an example of a row.

    Args:
        row: one parsed line, of any of the forms.
        place: where it stands.

    Raises:
        InputError: it has none of the forms, or a part of it is missing, empty or of the wrong kind.
    """
    if not isinstance(row, dict):
        raise InputError(f"is a {type(row).__name__}, expected an object with names and values")
    present = {key: value for key, value in row.items() if value is not None}
    form = next((form for keys, form in FORMS if all(key in present for key in keys)), None)
    if form is None:
        expected = ", or ".join(" and ".join(keys) for keys, _ in FORMS)
        found = ", ".join(repr(key) for key in present) or "nothing"
        raise InputError(f"has {found}; expected {expected}")
    try:
        return form.model_validate(present).example(place)
    except ValidationError as error:
        raise InputError("; ".join(_problem(problem["loc"], problem["msg"]) for problem in error.errors())) from error


def _problem(location: tuple[str | int, ...], message: str) -> str:
    return f"{'.'.join(map(str, location))}: {message.removeprefix('Value error, ')}"


def _conversation(place: str, turns: Sequence[Message], *, learns_history: bool) -> Example:
    """Take a conversation apart: a system turn at most at its beginning, then user and assistant in turn."""
    begin = 1 if turns[0].role == "system" else 0
    for number, turn in enumerate(turns[begin:]):
        expected = ("user", "assistant")[number % 2]
        if turn.role != expected:
            raise InputError(f"turn {begin + number + 1} is of {turn.role!r}, expected {expected!r}")
    if turns[-1].role != "assistant":
        raise InputError("ends without an answer of 'assistant'")
    return Example(place, tuple(turns[:-2]), turns[-2].content, turns[-1].content, None, learns_history)
