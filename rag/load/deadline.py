"""How long the file that is being read may still take."""

from __future__ import annotations

import signal
import sys
import time

_SHARE = 0.8
"""What is left of the time then is for putting together what was read."""
_SECONDS = 25.0
"""Where no alarm is set: in tests, and on Windows, which has none."""


def deadline() -> float:
    """Return the ``time.monotonic()`` at which a reader should stop and give back what it has, with a warning."""
    left = 0.0 if sys.platform == "win32" else signal.getitimer(signal.ITIMER_REAL)[0]
    return time.monotonic() + (_SHARE * left if left else _SECONDS)
