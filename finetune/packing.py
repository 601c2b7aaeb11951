"""
Many rows in one sequence, none of which sees another; what they begin alike with is read once.

Rows in alphabetical order of their tokens are the leaves of a tree: instructions that all of them share, passages that
some share, then a question and an answer each. The tree is laid down branch by branch, and a token sees its own branch
only, at the positions it would have alone. So every row gets the logits and gives the gradient that it would give
alone, but a prompt of which ten rows ask something is read once instead of ten times. Packing without padding is in
the literature (Krell et al., arXiv 2107.02027), and masks in the form of trees (Miao et al., arXiv 2305.09781).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import torch
from peft import PeftModel
from transformers.cache_utils import DynamicCache, DynamicLayer

from finetune.batch import Batch, labelled
from finetune.encode import Row
from models.base import ConfigError

TOKENS = 512
"""
A sequence is filled up to this many tokens, or to the longest row, and beyond only as :func:`packs` says: attention
grows with the square of its length, and soon costs more than is saved.
"""


def families(rows: Sequence[Row]) -> list[Hashable]:
    """Return what names the family of each row: rows with the same passages are one, others stand alone."""
    return [
        tuple(source.passage for source in row.example.sources) if row.example.sources else number
        for number, row in enumerate(rows)
    ]


def require_packable(network: PeftModel) -> None:
    """
    Refuse a network that would not see the mask as it is meant.

    Raises:
        ConfigError: a layer looks at a window only, or attention is not PyTorch's, which alone reads masks of truth
            values.
    """
    config = network.base_model.model.config
    windows = any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers)
    if windows or config._attn_implementation != "sdpa":
        how = "looks at a window of tokens" if windows else f"is {config._attn_implementation!r}"
        raise ConfigError(f"packing: this model's attention {how}, which packing cannot be used with; leave it out.")


def packs(rows: Sequence[Row], length: int) -> list[Batch]:
    """
    Pack rows into sequences.

    A row that shares more than it adds goes with the one before it, up to half as much again, because reading what they
    share once more would cost more than attention does.

    Args:
        rows: in any order.
        length: tokens of a sequence; none of the rows is longer.
    """
    ordered = sorted(rows, key=lambda row: row.ids.tolist())
    found: list[Batch] = []
    begin, used = 0, 0
    for at, row in enumerate(ordered):
        shared = _shared(ordered[at - 1], row) if at > begin else 0
        fresh = len(row.ids) - shared
        room = length * 3 // 2 if shared > fresh else length
        if at > begin and used + fresh > room:
            found.append(packed(ordered[begin:at]))
            begin, used, fresh = at, 0, len(row.ids)
        used += fresh
    return [*found, packed(ordered[begin:])] if ordered else []


def packed(rows: Sequence[Row]) -> Batch:
    """Lay rows down, each without what it begins alike with the one before; they are in order of their ids."""
    branch = np.empty(0, np.int64)  # where the tokens of the row at hand lie
    ids, labels, positions, branches = [], [], [], []
    used = 0
    for number, row in enumerate(rows):
        shared = _shared(rows[number - 1], row) if number else 0
        fresh = np.arange(used, used + len(row.ids) - shared)
        branch = np.concatenate([branch[:shared], fresh])
        ids.append(row.ids[shared:])
        labels.append(labelled(row)[shared:])
        positions.append(np.arange(shared, len(row.ids)))
        branches.append((fresh, branch))
        used += len(fresh)
    sees = np.zeros((used, used), np.bool_)
    for fresh, branch in branches:
        sees[np.ix_(fresh, branch)] = True
    return Batch(
        input_ids=torch.from_numpy(np.concatenate(ids))[None],
        labels=torch.from_numpy(np.concatenate(labels))[None],
        position_ids=torch.from_numpy(np.concatenate(positions))[None],
        attention_mask=torch.from_numpy(np.tril(sees))[None, None],
    )


def _shared(one: Row, other: Row) -> int:
    """
    Return how many tokens two rows begin alike with, before the token that the first learnt one is predicted from.

    That one stays apart, because what follows it differs.
    """
    most = min(int(one.learnt.argmax()), int(other.learnt.argmax())) - 1
    differs = one.ids[:most] != other.ids[:most]
    return int(differs.argmax()) if differs.any() else max(most, 0)
