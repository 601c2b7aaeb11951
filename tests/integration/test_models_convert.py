"""GGUF to safetensors: weights, configuration, tokenizer and chat template survive; the default model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFWriter, TokenType
from tokenizers.pre_tokenizers import ByteLevel
from transformers import AutoModelForCausalLM, AutoTokenizer

from models import convert, store
from models.base import ModelError

SIZE, HEADS, FEED_FORWARD, CONTEXT = 16, 2, 32, 64
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = ["Ġ Ġ", "a n"]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"


def write_gguf(path: Path, pre: str = "smollm", template: str = TEMPLATE) -> np.ndarray:
    """Write a two-layer Llama with a byte-level tokenizer; return its embedding matrix."""
    random = np.random.default_rng(0)
    tokens = [*CONTROL, *sorted(ByteLevel.alphabet()), "ĠĠ", "an"]
    writer = GGUFWriter(path, "llama")
    writer.add_name("a training run")
    writer.add_block_count(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(SIZE // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * len(CONTROL) + [TokenType.NORMAL] * (len(tokens) - len(CONTROL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    if template:
        writer.add_chat_template(template)
    shapes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (SIZE, SIZE))
    shapes |= {"ffn_gate": (FEED_FORWARD, SIZE), "ffn_up": (FEED_FORWARD, SIZE), "ffn_down": (SIZE, FEED_FORWARD)}
    tensors = {f"blk.0.{name}.weight": random.normal(size=shape) for name, shape in shapes.items()}
    tensors |= {f"blk.0.{name}.weight": np.ones(SIZE) for name in ("attn_norm", "ffn_norm")}
    tensors |= {"output_norm.weight": np.ones(SIZE), "token_embd.weight": random.normal(size=(len(tokens), SIZE))}
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors["token_embd.weight"].astype(np.float32)


def tokenizer_in(directory: Path) -> Any:
    return AutoTokenizer.from_pretrained(directory, local_files_only=True)


def model_in(directory: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(directory, local_files_only=True)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    directory = tmp_path_factory.mktemp("tiny")
    embeddings = write_gguf(directory / "model.gguf")
    convert.to_safetensors(directory / "model.gguf", directory)
    (directory / "model.gguf").unlink()
    return directory, embeddings


def test_convert_keeps_weights_and_configuration(converted: tuple[Path, np.ndarray]) -> None:
    directory, embeddings = converted
    model = model_in(directory)
    assert model.dtype == torch.float32
    assert np.array_equal(model.get_input_embeddings().weight.detach().numpy(), embeddings)
    assert model.config.max_position_embeddings == CONTEXT
    assert model.generation_config.eos_token_id == 2
    assert "a training run" not in (directory / "config.json").read_text()


def test_convert_splits_text_as_the_authors_tokenizer_does(converted: tuple[Path, np.ndarray]) -> None:
    tokenizer = tokenizer_in(converted[0])
    assert tokenizer.tokenize("an  19") == ["an", "ĠĠ", "1", "9"]
    assert tokenizer.decode(tokenizer.encode(convert.SAMPLE)) == convert.SAMPLE
    assert [tokenizer.encode(token) for token in CONTROL] == [[0], [1], [2]]
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.model_max_length == CONTEXT


def test_convert_writes_a_model_that_the_store_takes(converted: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    manifest = store.describe(converted[0], "tiny", "generator", tmp_path / "stamp.json")
    assert manifest.context_length == CONTEXT


def test_convert_refuses_an_unknown_way_to_split_text(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", pre="llama-bpe")
    with pytest.raises(ModelError, match=r"splits text as 'llama-bpe'"):
        convert.to_safetensors(tmp_path / "model.gguf", tmp_path)


def test_convert_refuses_a_model_without_a_chat_template(tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.gguf", template="")
    with pytest.raises(ModelError, match="there is no chat template"):
        convert.to_safetensors(tmp_path / "model.gguf", tmp_path)


@pytest.mark.weights
def test_default_generator_knows_the_capital_of_france() -> None:
    directory = store.locate("smollm2-135m-instruct", "generator").directory
    tokenizer = tokenizer_in(directory)
    model = model_in(directory)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    assert tokenizer.decode(prompt["input_ids"][0]) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    )
    output = model.generate(**prompt, max_new_tokens=12, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(output)
    assert output[-1] == model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")


@pytest.mark.weights
def test_default_generator_reads_text_digit_by_digit_and_without_loss() -> None:
    directory = store.locate("smollm2-135m-instruct", "generator").directory
    tokenizer = tokenizer_in(directory)
    assert tokenizer.tokenize("in  1994") == ["in", "ĠĠ", "1", "9", "9", "4"]
    assert tokenizer.decode(tokenizer.encode(convert.SAMPLE)) == convert.SAMPLE
    special = tokenizer.all_special_tokens
    assert [tokenizer.encode(token) for token in special] == [[i] for i in tokenizer.convert_tokens_to_ids(special)]
