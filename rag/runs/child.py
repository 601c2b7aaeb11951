"""
A program of ours under the server's watch: ``python -m rag.runs.child MODULE ARGUMENTS…``, never started by hand.

It leaves the cores to whoever asks a question, and ends, with all that it started, when the server is gone: standard
input is a pipe that nobody writes to, so its end says that.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

NICENESS = 10


def main() -> None:
    """Run the module that is named first, as if it had been started itself."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_the_server() -> None:
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    main()
