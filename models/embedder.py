"""
The embedder: sentence-transformers behind the Embedder protocol.

Importing this module imports torch, transformers and scikit-learn (seconds), so entry points import it last.
"""

from __future__ import annotations

import itertools
import logging
import re
import textwrap
from collections.abc import Sequence
from threading import Lock, Thread

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers.utils import logging as transformers_logging

from models.base import ModelError, Vectors
from models.engines import is_installed
from models.store import INT8, Model

logger = logging.getLogger(__name__)

_OFTEN = 3  # questions from which on making a graph of their own pays
_BULK = 64  # texts from which on making the graph pays: it takes 3 s, and saves a fifth
_BATCH = 32  # texts per forward pass; on two cores 16, 32 and 64 differ by less than a twentieth

# A tokenizer holds some 200 bytes for every character, so long texts go through it in slices that end at a word.
_SLICE = re.compile(r".{0,65535}\S(?=\s|\Z)|.{1,65536}", re.DOTALL)


class SentenceTransformerEmbedder:
    """
    Embeds texts with a sentence-transformers model.

    Safe to call from several threads without a lock: the constructor embeds once, which is when the tokenizer's
    truncation settles, and offsets come from a tokenizer of their own. So a question does not wait for a large batch of
    passages. On a CPU with OpenVINO, many passages, and the questions of a process that is asked several, go through a
    graph each, which gives the same vectors.
    """

    def __init__(self, model: Model, device: str | None = None) -> None:
        """
        Load the model from its directory.

        Args:
            model: where it lies, and which prefixes questions and passages get.
            device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.

        Raises:
            ModelError: the directory does not hold a sentence-transformers model with safetensors and a fast tokenizer.
        """
        transformers_logging.disable_progress_bar()
        self._model = model
        try:
            self._network = SentenceTransformer(
                str(model.directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"the embedder {model.name!r} in {model.directory} could not be loaded: "
                f"{textwrap.shorten(str(error), 300)} Expected a sentence-transformers model; fetch one with "
                "`python -m models.fetch`."
            ) from error
        self._single = _int8(self._network, model) if model.is_int8 else self._network
        self._bulk: SentenceTransformer | None = None
        self._can_lower = self._network.device.type == "cpu" and is_installed()
        self._lowering = Lock()
        self._for_questions, self._asked = self._single, itertools.count(1)
        self._hastening = Thread(target=self._hasten, name="lowering")
        self._tokenizer = _plain_tokenizer(self._network, model)
        self._dim: int = self._encode(self._single, ["warm"], "").shape[1]
        self._max_tokens = self._count_readable()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def weights_hash(self) -> str:
        """SHA-256 over the weights."""
        return self._model.weights_hash

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read; special tokens and the longer of the two prefixes are taken off."""
        return self._max_tokens

    def token_starts(self, text: str) -> npt.NDArray[np.int64]:
        """
        Return where each token of ``text`` begins.

        Returns:
            Character offsets, ascending, shape ``(n_tokens,)``; special tokens and prefixes have none, nothing is cut.
        """
        starts = [
            part.start() + start
            for part in _SLICE.finditer(text)
            for start, _ in self._tokenizer.encode(part.group(), add_special_tokens=False).offsets
        ]
        return np.array(starts, dtype=np.int64)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """
        Embed passages; what exceeds :attr:`max_tokens` is not read.

        Returns:
            L2-normalised float32 vectors, shape ``(len(texts), dim)``.
        """
        if not texts:
            return np.empty((0, self._dim), dtype=np.float32)
        network = self._single if len(texts) < _BULK else self._for_bulk()
        return self._encode(network, texts, self._model.document_prefix)

    def embed_query(self, text: str) -> Vectors:
        """
        Embed a question.

        Returns:
            An L2-normalised float32 vector, shape ``(dim,)``.
        """
        if next(self._asked) == _OFTEN and self._can_lower and not self._model.is_int8:
            self._hastening.start()
        vector: Vectors = self._encode(self._for_questions, [text], self._model.query_prefix)[0]
        return vector

    def _hasten(self) -> None:
        """Make a graph for questions, which take half as long then; behind passages in the other's they would wait."""
        with self._lowering:
            self._for_questions = _lowered(self._network, self._model.name)

    def _for_bulk(self) -> SentenceTransformer:
        """Return what embeds many passages: on a CPU with OpenVINO a graph, made at first use in seconds."""
        with self._lowering:
            if self._bulk is None and self._model.is_int8:
                self._bulk = _int8(self._network, self._model)
            elif self._bulk is None and self._can_lower:
                self._bulk = _lowered(self._network, self._model.name)
            elif self._bulk is None:
                self._bulk = self._network
        return self._bulk

    def _encode(self, network: SentenceTransformer, texts: Sequence[str], prefix: str) -> Vectors:
        # An empty prompt is passed on purpose: None would let the model's own files add one.
        vectors: Vectors = network.encode(
            list(texts), prompt=prefix, batch_size=_BATCH, show_progress_bar=False, normalize_embeddings=True
        )
        return vectors

    def _count_readable(self) -> int:
        limit: int = min(self._network.max_seq_length or self._model.context_length, self._model.context_length)
        special = len(self._tokenizer.encode("").ids)
        prefix = max(
            self.token_starts(prefix).size for prefix in (self._model.query_prefix, self._model.document_prefix)
        )
        return limit - special - prefix


def _int8(network: SentenceTransformer, model: Model) -> SentenceTransformer:
    if network.device.type != "cpu" or not is_installed():
        raise ModelError(
            f"{model.name!r} needs OpenVINO on a CPU: `pip install 'homeground[openvino]'`, device: cpu; or embed "
            f"again with {model.name.removesuffix(INT8)!r}."
        )
    from models.encoder_graph import accelerated

    return accelerated(network, int8=True)


def _lowered(network: SentenceTransformer, name: str) -> SentenceTransformer:
    from models.encoder_graph import accelerated  # OpenVINO is imported here, not for a single question

    try:
        return accelerated(network)
    except ModelError as error:
        logger.warning("%s embeds with torch: %s", name, error)
        return network


def _plain_tokenizer(network: SentenceTransformer, model: Model) -> Tokenizer:
    """Return a copy of the model's tokenizer that neither cuts nor pads."""
    fast = getattr(network.tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ModelError(
            f"the embedder {model.name!r} in {model.directory} has no tokenizer.json; chunks are measured with it. "
            "Expected a model with a fast tokenizer, for example `python -m models.fetch all-minilm-l6-v2`."
        )
    tokenizer = Tokenizer.from_str(fast.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
