"""
The reranker: a cross-encoder of sentence-transformers behind the Reranker protocol.

Importing this module imports torch, transformers and scikit-learn (seconds), so entry points import it last.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import torch
from sentence_transformers import CrossEncoder
from transformers.utils import logging as transformers_logging

from models.base import ModelError, Vectors
from models.store import Model

_BATCH = 16


class CrossEncoderReranker:
    """
    Reads a question and a passage together and says how well the one answers the other.

    Safe to call from several threads: after construction nothing changes any more.

    Args:
        model: where it lies, and how many tokens of question and passage together it reads; the rest is cut.
        device: ``cpu``, ``cuda``, ``mps``; None takes an accelerator where there is one.

    Raises:
        ModelError: the directory does not hold a cross-encoder with one output and safetensors.
    """

    def __init__(self, model: Model, device: str | None = None) -> None:
        transformers_logging.disable_progress_bar()
        self._model = model
        try:
            self._network = CrossEncoder(
                str(model.directory),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                max_length=model.context_length,
                activation_fn=torch.nn.Sigmoid(),
                model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"the reranker {model.name!r} in {model.directory} could not be loaded: "
                f"{textwrap.shorten(str(error), 300)} Expected a cross-encoder, for example `python -m models.fetch "
                "ms-marco-minilm-l6-v2`."
            ) from error
        if self._network.num_labels != 1:
            raise ModelError(
                f"the reranker {model.name!r} gives {self._network.num_labels} scores for a pair; expected one."
            )

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def score(self, question: str, passages: Sequence[str]) -> Vectors:
        """
        Score passages against a question.

        Returns:
            The logistic function of the model's output, float32 in ``[0, 1]``, shape ``(len(passages),)``.
        """
        if not passages:
            return np.empty(0, dtype=np.float32)
        pairs = [(question, passage) for passage in passages]
        scores: Vectors = self._network.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return scores
