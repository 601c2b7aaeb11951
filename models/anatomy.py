"""What a network does between its weights, for the families of which :mod:`models.step` knows the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FAMILIES = frozenset({"granite", "llama", "mistral", "qwen2", "qwen3", "smollm3"})
"""By ``model_type`` in a model's ``config.json``."""

VECTORS = frozenset(
    {"input_layernorm.weight", "post_attention_layernorm.weight"}
    | {f"self_attn.{name}_proj.bias" for name in "qkvo"}
    | {f"self_attn.{name}_norm.weight" for name in "qk"}
)
"""Norms and biases that a layer may have."""

CHANGING = frozenset({"dynamic", "longrope"})
"""Rotary embeddings whose frequencies depend on how much was read."""


@dataclass(frozen=True, slots=True)
class Anatomy:
    """
    A decoder of layers with RMSNorm, grouped attention, rotary embedding and a gated MLP.

    Attributes:
        head_size: numbers of a head.
        epsilon: of the norms.
        frequencies: of the rotary embedding, half as many as the numbers of a head that it turns.
        rotary_scale: what its cosines and sines are multiplied by.
        straight: layers without it.
        attention: what scores are multiplied by before softmax.
        embedding: what an embedded token is multiplied by.
        residual: what a layer adds is multiplied by.
        logits: what logits are divided by.
        vectors: a layer's norms and biases, by their names in it.
    """

    head_size: int
    epsilon: float
    frequencies: Sequence[float]
    rotary_scale: float
    straight: Sequence[int]
    attention: float
    embedding: float
    residual: float
    logits: float
    vectors: Sequence[str]


def anatomy(network: Any) -> Anatomy | None:  # noqa: ANN401 - transformers' PreTrainedModel
    """Return what a transformers network does between its weights; None for one of another family."""
    config = network.config
    if config.model_type not in FAMILIES or config.hidden_act != "silu":
        return None
    rotary = network.model.rotary_emb
    vectors = {name for name, weights in network.model.layers[0].named_parameters() if weights.ndim == 1}
    if rotary.rope_type in CHANGING or not vectors <= VECTORS:
        return None
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    turns = getattr(config, "no_rope_layers", None) or []  # a 1 for each layer with a rotary embedding
    return Anatomy(
        head_size=size,
        epsilon=config.rms_norm_eps,
        frequencies=rotary.inv_freq.float().tolist(),
        rotary_scale=rotary.attention_scaling,
        straight=[number for number, turn in enumerate(turns) if not turn],
        attention=getattr(config, "attention_multiplier", size**-0.5),
        embedding=getattr(config, "embedding_multiplier", 1.0),
        residual=getattr(config, "residual_multiplier", 1.0),
        logits=getattr(config, "logits_scaling", 1.0),
        vectors=sorted(vectors),
    )
