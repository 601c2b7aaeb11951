"""The OpenMP library that shares the kernels' work among threads."""

from __future__ import annotations

import functools
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

SPINNING = {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "30000"}
"""
The kernels' threads meet a hundred times a token, so they spin for a moment, which :mod:`models.pace` watches. A token
takes 9.7 ms so, 15 with a thirtieth of it, 20 where they sleep, as all others do (:mod:`models.command`).
"""

LAYER = "numba.np.ufunc.omppool"


@functools.cache
def is_there() -> bool:
    """Return whether numba finds an OpenMP library; the first call loads it."""
    try:
        with _a_library_of_its_own():
            importlib.import_module(LAYER)
    except ImportError as error:
        logger.debug("%s: %s", LAYER, error)
        return False
    return True


@contextmanager
def _a_library_of_its_own() -> Iterator[None]:
    """Let what is loaded meanwhile spin, and not take the functions of torch's library, which sleeps, for its own."""
    before = {name: os.environ.get(name) for name in SPINNING}
    os.environ.update(SPINNING)  # the library reads them once, when it is loaded
    flags = sys.getdlopenflags() if hasattr(os, "RTLD_DEEPBIND") else None
    if flags is not None:
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        if flags is not None:
            sys.setdlopenflags(flags)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
