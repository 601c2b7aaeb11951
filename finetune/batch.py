"""Rows become the tensors of a forward pass, side by side; :mod:`finetune.packing` lays them one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import torch

from finetune.encode import Row

IGNORED = -100
"""The label of a token that is not learnt; it goes by position, never by a token's id."""

TOKENS_AT_ONCE = {"cpu": 4096, "mps": 4096, "cuda": 16_384}
"""Tokens of a forward pass that a device of the usual size should hold, by its type."""


class Batch(TypedDict, total=False):
    """
    What the model reads at once.

    ``input_ids`` and ``labels`` have the shape ``(rows, length)``, int64. A padded batch has an ``attention_mask`` of
    that shape. A packed one is a single row with its ``position_ids``, and its mask, of shape ``(1, 1, length,
    length)``, says which token sees which.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    attention_mask: torch.Tensor
    position_ids: torch.Tensor


def on(device: torch.device, batch: Batch) -> Batch:
    """Return a batch on a device."""
    moved = Batch(input_ids=batch["input_ids"].to(device), labels=batch["labels"].to(device))
    if "attention_mask" in batch:
        moved["attention_mask"] = batch["attention_mask"].to(device)
    if "position_ids" in batch:
        moved["position_ids"] = batch["position_ids"].to(device)
    return moved


def rows_at_once(longest: int, device_type: str) -> int:
    """Return how many rows a forward pass should take when the longest of all has this many tokens."""
    return max(1, TOKENS_AT_ONCE.get(device_type, TOKENS_AT_ONCE["cpu"]) // longest)


def padded(rows: Sequence[Row], pad_id: int) -> Batch:
    """Lay rows side by side, filled up behind to the longest of them."""
    longest = max(len(row.ids) for row in rows)
    ids = np.full((len(rows), longest), pad_id, np.int64)
    labels = np.full((len(rows), longest), IGNORED, np.int64)
    mask = np.zeros((len(rows), longest), np.int64)
    for number, row in enumerate(rows):
        length = len(row.ids)
        ids[number, :length] = row.ids
        labels[number, :length] = labelled(row)
        mask[number, :length] = 1
    return Batch(
        input_ids=torch.from_numpy(ids), labels=torch.from_numpy(labels), attention_mask=torch.from_numpy(mask)
    )


def labelled(row: Row) -> npt.NDArray[np.int64]:
    """Return a row's ids where they are learnt, IGNORED elsewhere."""
    return np.where(row.learnt, row.ids, IGNORED)


def batches(rows: Sequence[Row], at_once: int, pad_id: int) -> list[Batch]:
    """Cut rows, sorted by length, into padded batches of at most ``at_once`` rows."""
    by_length = sorted(rows, key=lambda row: len(row.ids))
    return [padded(by_length[at : at + at_once], pad_id) for at in range(0, len(rows), at_once)]
