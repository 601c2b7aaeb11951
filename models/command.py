"""
What every command does around its work: offline first, logs to standard error, one line for an error.

An entry point keeps its own top imports light and calls :func:`run` from ``main()``; torch, transformers and the
like are imported inside the command, after the variables below are set, because they read them once, at import.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from threadpoolctl import threadpool_limits

from models.base import ConfigError, HomegroundError

NO_TELEMETRY = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "WANDB_MODE": "disabled",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
QUIET_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""
OpenMP threads that spin while they wait fight with any other busy process: measured on two cores beside one, decoding
went from 11.9 to 2.6 tokens/s and a question's embedding from 19 to 520 ms. Alone on the machine, spinning gains 10 %.
"""

LOG_LEVEL_VARIABLE = "HOMEGROUND_LOG_LEVEL"
OUR_LOGGERS = ("models", "rag", "finetune", "scripts", "__main__")
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run(app: Callable[[], object], *, offline: bool = True, log_level: str = "WARNING") -> NoReturn:
    """
    Run a command and end the process with its exit code.

    Args:
        app: a ``typer.Typer``, or a function that does the whole work.
        offline: True sets the variables that keep Hugging Face's libraries off the network. They replace what the
            environment says: only ``models.fetch`` may ask for anything else.
        log_level: what our own loggers write unless ``HOMEGROUND_LOG_LEVEL`` says otherwise.

    Raises:
        SystemExit: always; 0 after success, 2 after a :class:`HomegroundError` (its message is the one line on
            standard error), 130 after an interrupt.
    """
    os.environ.update(NO_TELEMETRY)
    keep_threads_quiet()
    if offline:
        os.environ.update(OFFLINE)
    try:
        _log_to_standard_error(log_level)
        app()
    except HomegroundError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)


def keep_threads_quiet() -> None:
    """
    Let OpenMP's threads sleep while they wait, and numpy use one thread.

    numpy's products here are small: at a million chunks, two threads beside other work took 109 ms for the search that
    one does in 31. torch and faiss, which are loaded later, keep theirs.
    """
    for name, value in QUIET_THREADS.items():
        os.environ.setdefault(name, value)
    threadpool_limits(limits=1, user_api="blas")


def _log_to_standard_error(default: str) -> None:
    level = os.environ.get(LOG_LEVEL_VARIABLE, default).upper()
    if level not in logging.getLevelNamesMapping():
        raise ConfigError(
            f"{LOG_LEVEL_VARIABLE} is {level!r}; expected DEBUG, INFO, WARNING or ERROR. Correct or unset it."
        )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level)
