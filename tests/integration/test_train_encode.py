"""Masks: exactly the answers and their end tokens are learnt, and what is too long never loses a part of an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune.encode import Row, encode
from finetune.examples import example
from models.base import InputError
from models.store import Model
from models.tokenizer import ChatTokenizer
from tests.fakes import CHAT_TEMPLATE
from tests.training import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tokenizer(model: Model) -> ChatTokenizer:
    return ChatTokenizer(model)


def learnt(row: Row, tokenizer: ChatTokenizer) -> str:
    return tokenizer.text(row.ids[row.learnt].tolist(), control=True)


def whole(row: Row, tokenizer: ChatTokenizer) -> str:
    return tokenizer.text(row.ids.tolist(), control=True)


def test_answer_and_end_token_are_learnt_and_nothing_else(tokenizer: ChatTokenizer) -> None:
    row = encode(example({"prompt": "Who?", "completion": "Me. 中文 🙂"}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "Me. 中文 🙂<|im_end|>"
    assert whole(row, tokenizer).endswith("<|im_start|>assistant\nMe. 中文 🙂<|im_end|>")
    assert row.ids[: int(np.argmax(row.learnt))].tolist() == tokenizer.prompt_ids(row.example.prompt)


def test_every_answer_of_a_chat_is_learnt(tokenizer: ChatTokenizer) -> None:
    messages = [{"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, "abcd", strict=True)]
    row = encode(example({"messages": messages}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "b<|im_end|>d<|im_end|>"
    prompt, completion = messages[:3], messages[3:]
    row = encode(example({"prompt": prompt, "completion": completion}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "d<|im_end|>"


def test_control_tokens_in_an_answer_are_learnt_as_text(tokenizer: ChatTokenizer) -> None:
    row = encode(example({"prompt": "x", "completion": "a<|im_end|>b<|endoftext|>"}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "a<|im_end|>b<|endoftext|><|im_end|>"
    assert sum(int(token) in tokenizer.end_ids for token in row.ids[row.learnt]) == 1


def test_end_token_is_learnt_where_it_is_also_what_fills_up(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(path.read_text().replace('"pad_token": "<|endoftext|>"', '"pad_token": "<|im_end|>"'))
    tokenizer = ChatTokenizer(model)
    assert tokenizer.pad_id in tokenizer.end_ids
    row = encode(example({"prompt": "x", "completion": "y"}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "y<|im_end|>"


def grounded(sizes: list[int], evidence: int, answer: str) -> dict[str, Any]:
    context = [
        {"title": f"T{n}", "text": f"w{n} " * size, "evidence": n == evidence} for n, size in enumerate(sizes, start=1)
    ]
    return {"question": "Which?", "context": context, "answer": answer}


def test_long_row_loses_its_last_distractors_first_and_keeps_evidence_and_answer(tokenizer: ChatTokenizer) -> None:
    row = example(grounded([5, 5, 5, 5], 3, "This [3]."), "")
    full = encode(row, tokenizer, 2000)
    shorter = encode(row, tokenizer, len(full.ids) - 1)
    assert shorter.left_out == 1
    assert [source.passage.title for source in shorter.example.sources or ()] == ["T1", "T2", "T3"]
    shortest = encode(row, tokenizer, len(full.ids) - 60)
    assert [source.passage.title for source in shortest.example.sources or ()] == ["T3"]
    assert learnt(shortest, tokenizer) == "This [1].<|im_end|>"


def test_markers_of_what_was_left_out_go(tokenizer: ChatTokenizer) -> None:
    row = example(grounded([30, 1], 2, "This [1] and that [2]."), "")
    full = encode(row, tokenizer, 2000)
    assert learnt(encode(row, tokenizer, len(full.ids) - 1), tokenizer) == "This and that [1].<|im_end|>"


def test_long_chat_loses_its_oldest_exchange(tokenizer: ChatTokenizer) -> None:
    texts = ["s", "old " * 30, "b", "c", "d"]
    roles = ["system", "user", "assistant", "user", "assistant"]
    row = example({"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=True)]}, "")
    shorter = encode(row, tokenizer, 40)
    assert whole(shorter, tokenizer).startswith("<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nc<|im_end|>")
    assert (learnt(shorter, tokenizer), shorter.left_out) == ("d<|im_end|>", 1)


def test_row_that_cannot_be_shortened_is_refused(tokenizer: ChatTokenizer) -> None:
    with pytest.raises(InputError, match=r"needs \d+ tokens, max_length is 50"):
        encode(example({"prompt": "x", "completion": "long " * 60}, ""), tokenizer, 50)
    with pytest.raises(InputError, match=r"max_length is 60; 1 passages or turns were left out"):
        encode(example(grounded([3, 60], 2, "x"), ""), tokenizer, 60)


@pytest.mark.parametrize("answer", ["\n\n1. first", "    def f():\n        pass", " x", "\ttab"])
def test_answer_that_begins_with_space_follows_the_prompt_of_serving(tokenizer: ChatTokenizer, answer: str) -> None:
    row = encode(example({"prompt": "Write.", "completion": answer}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == f"{answer}<|im_end|>"
    prompt = tokenizer.prompt_ids(row.example.prompt)
    assert row.ids[: len(prompt)].tolist() == prompt
    assert row.learnt.tolist() == [False] * len(prompt) + [True] * (len(row.ids) - len(prompt))


def test_passages_are_not_left_out_when_any_may_hold_the_answer(tokenizer: ChatTokenizer) -> None:
    row = example({"question": "q", "context": ["a " * 40, "b " * 40, "It is 42."], "answer": "42"}, "")
    with pytest.raises(InputError, match=r"needs \d+ tokens, max_length is 200$"):
        encode(row, tokenizer, 200)


def test_template_of_a_model_that_thinks_aloud_is_asked_not_to(tmp_path: Path) -> None:
    thinking = "{% if add_generation_prompt and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
    content = "{{ message['content'] }}"
    last = "{% if message['role'] == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    template = CHAT_TEMPLATE.replace(content, last + content) + thinking
    tokenizer = with_template(tmp_path, template)
    row = encode(example({"prompt": "x", "completion": "y"}, ""), tokenizer, 512)
    assert learnt(row, tokenizer) == "y<|im_end|>"


def with_template(tmp_path: Path, template: str) -> ChatTokenizer:
    model = tiny_model(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(template)
    return ChatTokenizer(model)


def test_template_without_an_end_token_is_refused(tmp_path: Path) -> None:
    tokenizer = with_template(tmp_path, CHAT_TEMPLATE.replace("<|im_end|>", ""))
    with pytest.raises(InputError, match="puts no end token behind an answer"):
        encode(example({"prompt": "x", "completion": "y"}, ""), tokenizer, 512)


def test_template_that_rewrites_earlier_turns_is_refused(tmp_path: Path) -> None:
    template = "{{ messages | length }}" + CHAT_TEMPLATE
    with pytest.raises(InputError, match="differently with and without its answer"):
        encode(example({"prompt": "x", "completion": "y"}, ""), with_template(tmp_path, template), 512)
