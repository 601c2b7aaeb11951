"""How many threads read a token: all, or one while others need the processor."""

from __future__ import annotations

SLOW = 2
"""So many tokens one after another have to take longer; a single one may have had bad luck."""

SPELL, LONGEST = 16, 64
"""For how many tokens one thread goes on alone, at first and at most; twice as many after each vain trial of all."""


class Pace:
    """
    Chooses by what tokens took.

    Threads that wait for each other a hundred times a token need a core each: with one other busy program on two cores,
    a token took 185 ms by two threads and 18 ms by one, where nothing else ran 9.5 and 18 ms. So when all of them take
    longer than one did, one goes on for a while, and then all try again. The scores are the same.

    Args:
        threads: how many there are.
        alone: seconds that a token takes by one of them, about.

    Attributes:
        alone: seconds that the last token by one thread took.
    """

    def __init__(self, threads: int, alone: float) -> None:
        self.alone = alone
        self._all, self._together = threads, 0.0
        self._slow, self._left, self._spell = 0, 0, SPELL

    @property
    def threads(self) -> int:
        """How many read the next token."""
        return 1 if self._left else self._all

    def took(self, seconds: float) -> None:
        """Tell how long that token took."""
        if self._left:
            self.alone = seconds
            self._left = self._left - 1 if seconds < self._together else 0
        elif seconds > self.alone:
            self._together, self._slow = seconds, self._slow + 1
            if self._slow >= SLOW:
                self._left, self._spell = self._spell, min(2 * self._spell, LONGEST)
        else:
            self._slow, self._spell = 0, SPELL
