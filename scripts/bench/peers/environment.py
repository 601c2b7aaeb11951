"""The environments of what we are compared with: made once, outside the checkout, with the pinned versions."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

from models.base import InputError

logger = logging.getLogger(__name__)

VARIABLES = {"peers": "HOMEGROUND_BENCH_PEERS", "trl": "HOMEGROUND_BENCH_TRL"}
"""Each names the interpreter of an environment that is there already."""

HERE = Path(__file__).parent
NATIVE = "-DGGML_NATIVE=ON"
"""llama.cpp comes as source and is compiled for this processor, which takes some ten minutes."""

WITHOUT_AMX = "-DCMAKE_C_FLAGS=-mno-amx-int8 -DCMAKE_CXX_FLAGS=-mno-amx-int8"
"""On processors with AMX, what version 0.3.36 compiles for it ends its server with a segmentation fault."""


def cache_dir() -> Path:
    """Return where environments and files of the benchmarks are kept, below the platform's cache directory."""
    return platformdirs.user_cache_path("homeground") / "bench"


def python(name: str) -> Path:
    """
    Return the interpreter of an environment; it is made first if there is none for these requirements.

    Args:
        name: ``peers`` or ``trl``.

    Raises:
        InputError: the environment that the variable names is not there, or the packages cannot be installed.
    """
    given = os.environ.get(VARIABLES[name])
    if given:
        if not Path(given).is_file():
            raise InputError(f"{VARIABLES[name]} is {given}, which is not there; expected a Python interpreter.")
        return Path(given)
    requirements = HERE / ("requirements.txt" if name == "peers" else "requirements-trl.txt")
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    directory = cache_dir() / f"{name}-{digest}"
    interpreter = directory / "bin" / "python"
    if not (directory / "complete").is_file():
        shutil.rmtree(directory, ignore_errors=True)
        logger.info("%s: installing %s", directory, requirements)
        _run([sys.executable, "-m", "venv", str(directory)])
        _run([str(interpreter), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
        (directory / "complete").touch()
    return interpreter


def _run(words: list[str]) -> None:
    wanted = f"{NATIVE} {WITHOUT_AMX}" if _has_amx() else NATIVE
    if subprocess.run(words, env={**os.environ, "CMAKE_ARGS": wanted}, check=False).returncode:
        raise InputError(f"`{' '.join(words)}` failed; see above.")


def _has_amx() -> bool:
    told = Path("/proc/cpuinfo")
    return told.is_file() and "amx_int8" in told.read_text(encoding="utf-8").split()
