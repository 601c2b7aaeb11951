"""ZIP archives for tests: made from their members, and others with some members changed."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO

Change = bytes | Callable[[bytes], bytes]


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """Return an archive with these members, in this order."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def changed(data: bytes, changes: Mapping[str, Change]) -> bytes:
    """Return an archive with some members replaced, or rewritten by a function, or added."""
    with zipfile.ZipFile(BytesIO(data)) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    for name, change in changes.items():
        members[name] = change if isinstance(change, bytes) else change(members[name])
    return archive(members)
