"""Text in its place: the value that all of PDF layout works on."""

from __future__ import annotations

import math
from typing import NamedTuple

SOFT_HYPHEN = "\xad"
"""Ends a word that goes on: the hyphen may belong to the line's end or to the word."""


class Span(NamedTuple):
    """
    Text on one baseline.

    Positions are in points, after the page has been turned so that its text runs horizontally; ``baseline`` grows
    downwards, and both zeros are arbitrary.

    Attributes:
        size: the letters' size in points.
        bold: whether all of it is bold.
        fixed: whether its letters are of one width, as in listings.
    """

    text: str
    left: float
    right: float
    baseline: float
    size: float
    bold: bool = False
    fixed: bool = False

    @property
    def top(self) -> float:
        """About the height of a capital above the baseline."""
        return self.baseline - 0.75 * self.size

    @property
    def bottom(self) -> float:
        """About the depth of a descender below the baseline."""
        return self.baseline + 0.2 * self.size


def turned(x: float, y: float, direction: int) -> tuple[float, float]:
    """Turn a point of the page, counted upwards, to where it is in the coordinates of :class:`Span`."""
    if direction == 0:
        return x, -y
    angle = math.radians(direction)
    return x * math.cos(angle) + y * math.sin(angle), x * math.sin(angle) - y * math.cos(angle)
