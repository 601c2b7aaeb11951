"""
Small real stand-ins: an embedder that hashes words, a generator that follows a script, a random two-layer model.

None of them pretends: each implements its protocol in full, so what passes with a fake exercises the real code paths.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.adapter_store import not_offered
from models.adapters import CONFIG, WEIGHTS, Adapter, write_manifest
from models.base import FinishReason, InputError, Message, SamplingParams, Token, TokenStream, Vectors
from models.decoding import StopStrings
from models.prompt import PROMPT_FORMAT
from models.store import Model

if TYPE_CHECKING:
    from transformers import BertConfig, PreTrainedTokenizerFast

_WORD = re.compile(r"\w+|[^\w\s]")

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SENTENCES = (
    "The house stands on the hill and the light is on in every window.",
    "Which documents does the handbook name, and who may read them?",
    "A badge is reset at the front desk; bring an identity card with you.",
    "Plain answers, short sentences, one number behind each of them.",
)


class HashEmbedder:
    """
    Embeds by hashing words: texts that share words are similar.

    Each lower-case word adds plus or minus one to one of ``dim`` places, both taken from its BLAKE2 digest; the sum is
    L2-normalised. A text without words is the first unit vector. Words after the 256th are not read. Another ``dim`` is
    another embedder. ``embedded`` counts the passages.
    """

    name = "hash"
    max_tokens = 256

    def __init__(self, dim: int = 64) -> None:
        self.dim = dim
        self.weights_hash = hashlib.sha256(b"hash-%d" % dim).hexdigest()
        self.embedded = 0

    def token_starts(self, text: str) -> npt.NDArray[np.int64]:
        """Return where each word or punctuation mark begins."""
        return np.array([match.start() for match in _WORD.finditer(text)], dtype=np.int64)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed passages."""
        self.embedded += len(texts)
        return np.stack([self.embed_query(text) for text in texts]) if texts else np.empty((0, self.dim), np.float32)

    def embed_query(self, text: str) -> Vectors:
        """Embed a question, in the same way as a passage."""
        vector = np.zeros(self.dim, dtype=np.float32)
        for word in re.findall(r"\w+", " ".join(_WORD.findall(text.lower())[: self.max_tokens])):
            digest = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            vector[digest % self.dim] += 1.0 if digest >> 63 else -1.0
        if not vector.any():
            vector[0] = 1
        return vector / np.float32(np.linalg.norm(vector))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a :class:`ScriptedGenerator` received."""

    messages: tuple[Message, ...]
    params: SamplingParams
    adapter: str | None


@dataclass(slots=True)
class ScriptedGenerator:
    """
    Answers with the given replies in turn, word by word; the last reply is repeated.

    Attributes:
        replies: what to say.
        adapters: names of adapters that may be asked for.
        context_length: the most words of prompt and answer together.
        gate: when given, each token after the first waits until it is set; a test can then cancel between two tokens.
        asked: every request, in order.
        steps: how many tokens were produced, over all requests.
        closed: how many streams were closed before their end.
    """

    replies: Sequence[str]
    adapters: tuple[str, ...] = ()
    context_length: int = 2048
    gate: Event | None = None
    asked: list[Asked] = field(default_factory=list)
    steps: int = 0
    closed: int = 0

    @property
    def name(self) -> str:
        """A fixed name."""
        return "scripted"

    @property
    def engine(self) -> str:
        """A fixed name."""
        return "script"

    @property
    def places(self) -> int:
        """One."""
        return 1

    def forget(self) -> None:
        """Forget what was asked."""
        self.asked.clear()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Count a word or punctuation mark as a token, and two for every turn."""
        return sum(2 + len(_WORD.findall(message.content)) for message in messages)

    def stream(
        self, messages: Sequence[Message], params: SamplingParams, adapter: str | None = None, scope: str | None = None
    ) -> TokenStream:
        """Yield the next reply's words, each with the space behind it."""
        if adapter is not None and adapter not in self.adapters:
            raise not_offered(adapter, self.name, self.adapters)
        room = self.context_length - self.count_tokens(messages)
        if room < 1:
            raise InputError(f"the prompt has {self.count_tokens(messages)} tokens of {self.context_length}.")
        self.asked.append(Asked(tuple(messages), params, adapter))
        reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
        return self._say(re.findall(r"\S+\s*|\s+", reply), StopStrings(params.stop), min(params.max_tokens, room))

    def _say(self, words: list[str], stops: StopStrings, limit: int) -> TokenStream:
        try:
            for number, word in enumerate([*words, ""], start=1):
                if self.gate is not None and number > 1 and not self.gate.wait(timeout=30):
                    raise TimeoutError("the test never opened the gate")
                self.steps += 1
                shown = stops.push(word)
                reason: FinishReason | None = "length" if number == limit else None
                if number > len(words) or stops.found:
                    reason = "stop"
                yield Token(number, shown + stops.flush() if reason else shown, 0.0, reason)
                if reason:
                    return
        except GeneratorExit:
            self.closed += 1
            raise


def write_tiny_generator(directory: Path, seed: int = 0) -> Path:
    """
    Write a random two-layer Llama with a byte-level BPE tokenizer and a ChatML template; return its directory.

    Its text is nonsense, but repeatable nonsense: everything around the weights (files, tokenizer, template, cache,
    adapters) is what a real model has.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = _chat_tokenizer()
    tokenizer.save_pretrained(directory)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,  # wide enough that no two tokens are nearly equally likely
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(directory)
    return directory


def _chat_tokenizer() -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer that reads ChatML."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        _SENTENCES,
        trainers.BpeTrainer(
            vocab_size=384,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHAT_TEMPLATE,
        model_max_length=64,  # too short for most prompts: the model's own limit counts, not the tokenizer's
    )


def write_tiny_adapter(directory: Path, base: Model, seed: int = 0, *, use_dora: bool = False) -> Adapter:
    """Write a LoRA adapter of a tiny generator, random in both halves so that it changes the text, and its manifest."""
    import torch
    from peft import LoraConfig, LoraModel, get_peft_model_state_dict
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    network = AutoModelForCausalLM.from_pretrained(base.directory, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(base.directory, local_files_only=True)
    settings = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules="all-linear",
        init_lora_weights=False,
        task_type="CAUSAL_LM",
        use_dora=use_dora,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LoraModel(network, settings, "default")
    weights = get_peft_model_state_dict(network, save_embedding_layers=False)
    directory.mkdir(parents=True)
    save_file({f"base_model.model.{name}": weight for name, weight in weights.items()}, directory / WEIGHTS)
    settings.save_pretrained(str(directory))
    return write_manifest(
        directory,
        base=base,
        prompt_format=PROMPT_FORMAT,
        chat_template_sha256=hashlib.sha256(tokenizer.chat_template.encode()).hexdigest(),
        golden_text=_SENTENCES[0],
        golden_ids=tokenizer(_SENTENCES[0], add_special_tokens=False)["input_ids"],
        data_sha256=hashlib.sha256(b"").hexdigest(),
        recipe={"r": 4},
        scores={},
        trained_with_context=False,
        gate_passed=True,
        licence="Apache-2.0",
    )


def resigned(adapter: Adapter, **settings: object) -> Adapter:
    """Change an adapter's settings, and what is known of its files with them."""
    path = adapter.directory / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return replace(adapter, files={**adapter.files, CONFIG: hashlib.sha256(path.read_bytes()).hexdigest()})


def _word_pieces(max_tokens: int) -> PreTrainedTokenizerFast:
    """Make the tokenizer of a BERT that reads one text, or two with a separator."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces.train_from_iterator(
        _SENTENCES, trainers.WordPieceTrainer(vocab_size=256, special_tokens=special, show_progress=False)
    )
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    pieces.enable_truncation(max_tokens)  # as published tokenizer.json files have it
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def _tiny_bert(vocabulary: int, **more: object) -> BertConfig:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        **more,
    )


def write_tiny_embedder(directory: Path, max_tokens: int = 32, seed: int = 0) -> Path:
    """Write a random two-layer BERT with mean pooling, reading ``max_tokens`` tokens; return its directory."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertModel

    tokenizer = _word_pieces(max_tokens)
    config = _tiny_bert(len(tokenizer))
    with TemporaryDirectory() as network, torch.random.fork_rng():
        torch.manual_seed(seed)
        BertModel(config).save_pretrained(network)
        tokenizer.save_pretrained(network)
        transformer = Transformer(network, max_seq_length=max_tokens, model_kwargs={"local_files_only": True})
        model = SentenceTransformer(modules=[transformer, Pooling(config.hidden_size, "mean")], device="cpu")
        model.save_pretrained(str(directory), create_model_card=False)
    return directory


def write_tiny_reranker(directory: Path, labels: int = 1, seed: int = 0) -> Path:
    """Write a random two-layer BERT that gives a pair of texts ``labels`` scores; return its directory."""
    import torch
    from transformers import BertForSequenceClassification

    tokenizer = _word_pieces(128)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        BertForSequenceClassification(_tiny_bert(len(tokenizer), num_labels=labels)).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
