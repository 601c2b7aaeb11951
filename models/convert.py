"""
GGUF to safetensors, once, when a model is fetched.

transformers reads a GGUF's weights and most of its tokenizer, but takes half a minute for it and rebuilds GPT-2's
splitting of text where the file names another one. Both are put right here, so that what is served and trained
loads in a second and reads text as its authors' tokenizer does.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from models.base import ModelError

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer
    from transformers import PreTrainedTokenizerBase

# Digits, double spaces before digits, contractions, characters outside the vocabulary's scripts.
SAMPLE = "In 1994,  12 of 37 didn't re-read §4.2: naïve café, 東京, 🙂\n\tx = 5"


def to_safetensors(gguf_file: Path, directory: Path) -> None:
    """
    Write a GGUF file's model as float32 safetensors with its configuration, tokenizer and chat template.

    Args:
        gguf_file: the file; its digest has been checked.
        directory: receives the files.

    Raises:
        ModelError: its tokenizer splits text in a way that is not known here, or does not survive the conversion.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = str(gguf_file.parent)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf_file.name, local_files_only=True)
    tokenizer.backend_tokenizer.pre_tokenizer = _pre_tokenizer(gguf_file)
    with contextlib.redirect_stderr(io.StringIO()):  # its bars would tear the one that the command shows
        model = AutoModelForCausalLM.from_pretrained(
            source,
            gguf_file=gguf_file.name,
            local_files_only=True,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.float32,
        )
        # A GGUF carries the name of a training run, which would be written down as if it were a path.
        del model.config._model_name_or_path
        model.save_pretrained(directory)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.init_kwargs.pop("local_files_only")  # how it was loaded is not part of the tokenizer
    tokenizer.save_pretrained(directory)
    _check(tokenizer, AutoTokenizer.from_pretrained(directory, local_files_only=True))


def _pre_tokenizer(gguf_file: Path) -> PreTokenizer:
    """Return how text is split before byte pairs are merged, by the name that llama.cpp gives it."""
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers

    field = GGUFReader(gguf_file).get_field("tokenizer.ggml.pre")
    name = field.contents() if field else None
    if name != "smollm":
        raise ModelError(
            f"{gguf_file.name} splits text as {name!r}; the conversion knows 'smollm'. Fetch the model from a hub "
            "as safetensors instead."
        )
    # Each digit alone, then GPT-2's rule.
    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])


def _check(written: PreTrainedTokenizerBase, read: PreTrainedTokenizerBase) -> None:
    """Refuse a tokenizer that reads text otherwise after it was saved, or does not know its own control tokens."""
    ids = read.encode(SAMPLE, add_special_tokens=False)
    problems = []
    if ids != written.encode(SAMPLE, add_special_tokens=False) or read.decode(ids) != SAMPLE:
        problems.append("text does not survive the tokenizer")
    for token in read.all_special_tokens:
        if read.encode(token, add_special_tokens=False) != [read.convert_tokens_to_ids(token)]:
            problems.append(f"{token} is not one token")
    if not read.chat_template:
        problems.append("there is no chat template")
    if problems:
        raise ModelError(f"The GGUF file cannot be used: {'; '.join(problems)}.")
