"""
Who may use the server on a single workstation: whoever holds the API key, or opened the sign-in link of its terminal.

Nothing secret is kept in memory: keys, tokens and session ids are random or long, so their SHA-256 stands for them and
is compared in constant time. The API key lies in a file that only its owner can read, so that programs keep working
after a restart; sessions end with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from models.base import AccessError, ConfigError

KEY_VARIABLE = "HOMEGROUND_API_KEY"
KEY_FILE = "api-key"
MIN_KEY_CHARACTERS = 16
MAX_SECRET_CHARACTERS = 512
SESSION_S = 30 * 24 * 3600
MAX_SESSIONS = 64


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Who asks.

    Attributes:
        name: ``page`` or ``program``; each gets its fair share of the generator.
        by_cookie: True when a browser sent the credentials by itself, so that the request's origin must be checked.
    """

    name: str
    by_cookie: bool


class Access:
    """
    The credentials of one running server; safe to use from several threads.

    Args:
        api_key: what programs send as ``Authorization: Bearer``.
        on_token: called with each new sign-in token, so that it can be shown where only the owner looks.
        clock: seconds; only differences count.
    """

    def __init__(
        self,
        api_key: str,
        on_token: Callable[[str], None] = lambda token: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = _digest(api_key)
        self._on_token = on_token
        self._clock = clock
        self._token = b""
        self._sessions: dict[bytes, float] = {}
        self._changing = threading.Lock()

    def issue_token(self) -> None:
        """Make a sign-in token and hand it to ``on_token``; the one before is of no more use."""
        token = secrets.token_urlsafe(32)
        self._token = _digest(token)
        self._on_token(token)

    def sign_in(self, token: str) -> str:
        """
        Use a sign-in token up, and issue the next.

        Returns:
            The id of a new session.

        Raises:
            AccessError: the token is wrong or used up.
        """
        with self._changing:
            if not self._token or not hmac.compare_digest(_digest(token), self._token):
                raise AccessError(
                    "this sign-in link is wrong or was used already; open the newest one from the terminal in which "
                    "Homeground runs."
                )
            session = secrets.token_urlsafe(32)
            while len(self._sessions) >= MAX_SESSIONS:
                del self._sessions[min(self._sessions, key=self._sessions.__getitem__)]
            self._sessions[_digest(session)] = self._clock() + SESSION_S
            self.issue_token()
        return session

    def sign_out(self, session: str) -> None:
        """End a session."""
        with self._changing:
            self._sessions.pop(_digest(session), None)

    def authenticate(self, authorization: str | None, session: str | None) -> Principal | None:
        """
        Say who sends these credentials.

        Args:
            authorization: the ``Authorization`` header; when there is one, a session is not looked at.
            session: the session's id, from the cookie.

        Returns:
            The principal, or None when nothing valid was sent.
        """
        if authorization is not None:
            scheme, _, key = authorization.partition(" ")
            valid = scheme.lower() == "bearer" and hmac.compare_digest(_digest(key.strip()), self._key)
            return Principal("program", by_cookie=False) if valid else None
        if session is None:
            return None
        expires = self._sessions.get(_digest(session))
        return Principal("page", by_cookie=True) if expires is not None and self._clock() < expires else None


def require_loopback(host: str) -> None:
    """
    Refuse to listen where other machines can reach.

    Raises:
        ConfigError: ``host`` is not a loopback address.
    """
    if host == "localhost":
        return
    try:
        if ip_address(host).is_loopback:
            return
    except ValueError:
        pass
    raise ConfigError(
        f"the server cannot listen on {host!r}: accounts for several people are not there yet, so only this machine "
        "may reach it. Use --host 127.0.0.1, and an SSH tunnel from elsewhere."
    )


def load_api_key(directory: Path, environment: str | None) -> tuple[str, bool]:
    """
    Return the API key and whether it is new: the environment's, else the stored one, else a random one stored now.

    Args:
        directory: the data directory; it must exist.
        environment: the value of ``HOMEGROUND_API_KEY``.

    Raises:
        ConfigError: the key is too short or too long, or others can read its file.
    """
    if environment is not None:
        return _checked(environment, KEY_VARIABLE), False
    path = directory / KEY_FILE
    try:
        return _checked(_read_private(path), str(path)), False
    except FileNotFoundError:
        key = "hg-" + secrets.token_urlsafe(32)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
        return key, True


def _read_private(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"{path} holds the API key, but others on this machine can read it ({stat.filemode(mode)}); "
                "delete it to get a new key."
            )
        return file.read(MAX_SECRET_CHARACTERS + 2).strip()


def _checked(key: str, place: str) -> str:
    if not MIN_KEY_CHARACTERS <= len(key) <= MAX_SECRET_CHARACTERS or not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"the API key in {place} has {len(key)} characters; expected {MIN_KEY_CHARACTERS} to "
            f"{MAX_SECRET_CHARACTERS}, printable ASCII. Set another, or remove it to get a random one."
        )
    return key


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
