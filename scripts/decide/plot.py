"""The picture of a decision: how good and how fast each way is, as SVG that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 18, 46
TICKS = 5
CLOSE = 15
"""Labels nearer than so many pixels are moved apart."""

CHARACTER = 7
"""Pixels that a character of a label takes, rather more than less."""

LOW = 0.2
"""Labels of points below this are moved up, since the axis is beneath them."""


_Box = tuple[float, float, float]
"""Where a label begins and ends, and its height."""


@dataclass(frozen=True, slots=True)
class Point:
    """
    An arm in the plane.

    Attributes:
        label: its name.
        seconds: median of an answer.
        right: mean of the number that decides, in ``[0, 1]``.
        low: lower end of its interval.
        high: upper end.
        chosen: whether it is the advised one.
    """

    label: str
    seconds: float
    right: float
    low: float
    high: float
    chosen: bool


def svg(points: Sequence[Point]) -> str:
    """Draw points with the intervals of their quality; seconds to the right, quality upwards."""
    longest = max((point.seconds for point in points), default=1.0) * 1.15 or 1.0
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Quality and seconds of each way" class="plot">',
        *_axes(longest),
    ]
    taken: list[_Box] = []
    for point in sorted(points, key=lambda one: -one.right):
        parts += _drawn(point, longest, taken)
    return "".join([*parts, "</svg>"])


def _x(seconds: float, longest: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * seconds / longest


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _axes(longest: float) -> list[str]:
    parts = []
    for step in range(TICKS + 1):
        share = step / TICKS
        y, x = _y(share), _x(longest * share, longest)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:.1f}</text>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{longest * share:.2g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">seconds an answer takes (median)</text>')
    parts.append(f'<text transform="translate(14 {HEIGHT / 2 - 10}) rotate(-90)" text-anchor="middle">right</text>')
    return parts


def _drawn(point: Point, longest: float, taken: list[_Box]) -> list[str]:
    x, y = _x(point.seconds, longest), _y(point.right)
    kind = "point chosen" if point.chosen else "point"
    before_the_edge = x > WIDTH * 0.7
    anchor, place = ("end", x - 10) if before_the_edge else ("start", x + 10)
    left = place - len(point.label) * CHARACTER if before_the_edge else place
    right = left + len(point.label) * CHARACTER
    away = CLOSE if point.right > LOW else -CLOSE
    height = y + 4
    while any(abs(height - at) < CLOSE and left < end and begin < right for begin, end, at in taken):
        height += away
    taken.append((left, right, height))
    return [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_y(point.low):.1f}" y2="{_y(point.high):.1f}" class="bar"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" class="{kind}"/>',
        f'<text x="{place:.1f}" y="{height:.1f}" text-anchor="{anchor}" class="label">{escape(point.label)}</text>',
    ]
