"""
Every attempt of a Python program to reach another machine: stopped, and written down with the module that made it.

Self-contained, standard library only: :mod:`rag.offline` copies this file to where Python runs it before anything else
(``sitecustomize``), in the programs that it watches and in all Python programs that those start.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

FILE_VARIABLE = "WATCHED_CONNECTIONS_FILE"
CONNECTING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
NAMING = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
LOCAL_NAMES = {"", "localhost", "ip6-localhost"}


def watch() -> None:
    """Watch this process until its end; a hook of this kind cannot be taken off again."""
    file = os.environ.get(FILE_VARIABLE)
    if file:
        sys.addaudithook(_hook(file))


def _hook(file: str) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CONNECTING:
            there = _address(arguments)
        elif event in NAMING:
            there = None if _is_local(arguments[0]) else str(arguments[0])
        else:
            return
        if there is not None:
            _write(file, event, there)
            raise OSError(errno.ENETUNREACH, f"{there} is another machine, and this program may reach none")

    return hook


def _address(arguments: tuple[Any, ...]) -> str | None:
    """Return where a socket is to send, if that is another machine."""
    connection, address = arguments[0], arguments[-1]
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
        return None
    return None if _is_local(address[0]) else f"{address[0]} port {address[1]}"


def _is_local(host: object) -> bool:
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "")
    if name in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _write(file: str, event: str, there: str) -> None:
    attempt = {
        "module": _caller(sys._getframe(3)),
        "event": event,
        "address": there,
        "program": " ".join(sys.orig_argv),
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(attempt) + "\n").encode())
    finally:
        os.close(descriptor)


def _caller(frame: FrameType | None) -> str:
    """Return the first module on the stack that is not of the standard library, else the first of all."""
    first = None
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "?"))
        first = first or name
        if name == "__main__" or name.partition(".")[0] not in sys.stdlib_module_names:
            spec = frame.f_globals.get("__spec__")
            return spec.name if name == "__main__" and spec else name
        frame = frame.f_back
    return first or "?"
