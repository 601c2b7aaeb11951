"""The numbers of list items, in the styles that office documents know."""

from __future__ import annotations

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_MOST_LETTERS = 30


def letters(number: int) -> str:
    """Return a, b … z, then aa, bb … as word processors count; numbers below 1 stay as they are."""
    if number < 1:
        return str(number)
    return chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, _MOST_LETTERS)


def roman(number: int) -> str:
    """Return a Roman numeral in small letters; numbers of 4000 and more, and below 1, stay as they are."""
    if not 0 < number < 4000:
        return str(number)
    text = ""
    for value, sign in _ROMAN:
        text += sign * (number // value)
        number %= value
    return text
