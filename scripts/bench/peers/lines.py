"""A process that answers every line of standard input, a JSON value, with a line of JSON; no import of ours."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any


def serve(answer: Callable[[Any], dict[str, Any]]) -> None:
    """Answer line by line until standard input ends; what libraries print goes to standard error."""
    output = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        for line in sys.stdin:
            output.write(json.dumps(answer(json.loads(line))) + "\n")
            output.flush()
