"""
By what somebody is recognised: the terminal's link and key, a user's password or API key.

Nothing secret is kept in memory: keys, tokens and session ids are random or long, so their SHA-256 stands for them and
is compared in constant time, or looked up. The terminal's key lies in a file that only its owner can read, so that
programs keep working after a restart; sessions end with the process. Users and keys are read from the store at every
request, so what was revoked does not reach the next one.
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
from dataclasses import dataclass, replace
from pathlib import Path

from models.base import AccessError, ConfigError
from rag.access.attempts import Attempts
from rag.access.passwords import matches
from rag.access.principal import Level, Principal
from rag.store.people import Key, People, User

KEY_VARIABLE = "HOMEGROUND_API_KEY"
KEY_FILE = "api-key"
ADDRESS_FILE = "address"
"""Says beside the key where the server of a data directory listens, so that commands can talk to it."""

MIN_KEY_CHARACTERS = 16
MAX_SECRET_CHARACTERS = 512
SESSION_S = 30 * 24 * 3600
MAX_SESSIONS = 64
"""Of one user, and of the terminal; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class _Session:
    """Whose a session is (None: the terminal's), and between which moments it counts, seconds since 1970."""

    user_id: int | None
    begun: float
    expires: float


class Access:
    """
    The credentials of one running server; safe to use from several threads.

    Args:
        api_key: what programs of whoever holds the terminal send as ``Authorization: Bearer``.
        people: the users and their keys.
        on_token: called with each new sign-in token, so that it can be shown where only the owner looks.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        api_key: str,
        people: People,
        on_token: Callable[[str], None] = lambda token: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = _digest(api_key)
        self._people = people
        self._on_token = on_token
        self._clock = clock
        self._token = b""
        self._sessions: dict[bytes, _Session] = {}
        self._changing = threading.Lock()
        self._attempts = Attempts(clock)

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
            session = self._begin(None)
            self.issue_token()
        return session

    def sign_in_user(self, name: str, password: str, address: str) -> str:
        """
        Check a password; takes about a tenth of a second, whether there is such a user or not.

        Args:
            name: the user's.
            password: the user's.
            address: where it comes from; too many failures from there, or for the name, are refused for a while.

        Returns:
            The id of a new session.

        Raises:
            AccessError: it is wrong, the user is suspended, or there were too many failures; which is not said.
        """
        self._attempts.require(name, address)
        user = self._people.user(name)
        if not matches(password, user.password if user else None) or user is None or user.is_suspended:
            self._attempts.failed(name, address)
            raise AccessError("the name or the password is wrong.")
        with self._changing:
            return self._begin(user.id)

    def _begin(self, user_id: int | None) -> str:
        session, now = secrets.token_urlsafe(32), self._clock()
        theirs = [known for known, one in self._sessions.items() if one.user_id == user_id]
        if len(theirs) >= MAX_SESSIONS:
            del self._sessions[min(theirs, key=lambda known: self._sessions[known].begun)]
        self._sessions[_digest(session)] = _Session(user_id, now, now + SESSION_S)
        return session

    def sign_out(self, session: str) -> None:
        """End a session."""
        with self._changing:
            self._sessions.pop(_digest(session), None)

    def csrf_token(self, session: str) -> str:
        """Return what a page of this session sends along with unsafe requests; no other page can know it."""
        return hmac.new(_digest(session), b"csrf", hashlib.sha256).hexdigest()

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
            return self._by_key(_digest(key.strip())) if scheme.lower() == "bearer" else None
        return self._by_session(_digest(session)) if session is not None else None

    def again(self, principal: Principal) -> Principal | None:
        """Return the principal as it is now; None once its credential, or its user, counts no more."""
        find = self._by_session if principal.by_cookie else self._by_key
        return find(principal.credential)

    def _by_key(self, digest: bytes) -> Principal | None:
        if hmac.compare_digest(digest, self._key):
            return Principal("program", by_cookie=False, credential=digest)
        key = self._people.key(digest)
        if key is None or (key.expires is not None and self._clock() >= key.expires):
            return None
        user = self._people.user(key.user)
        return _limited(_principal(user, digest, by_cookie=False), key) if user and not user.is_suspended else None

    def _by_session(self, digest: bytes) -> Principal | None:
        session = self._sessions.get(digest)
        if session is None or self._clock() >= session.expires:
            return None
        if session.user_id is None:
            return Principal("page", by_cookie=True, credential=digest)
        user = self._people.user_by_id(session.user_id)
        if user is None or user.is_suspended or session.begun < user.sessions_from:
            return None
        return _principal(user, digest, by_cookie=True)


def _principal(user: User, digest: bytes, *, by_cookie: bool) -> Principal:
    return Principal(f"user:{user.name}", by_cookie, user.id, user.is_admin, Level.MANAGE, None, digest)


def _limited(principal: Principal, key: Key) -> Principal:
    """Return what a key makes of its user; one that is limited to collections does not administer."""
    return replace(
        principal,
        level=Level(key.level),
        collections=None if key.collections is None else frozenset(key.collections),
        is_admin=principal.is_admin and key.level == Level.MANAGE and key.collections is None,
    )


def new_key() -> tuple[str, bytes]:
    """Return a new API key, to be shown once, and the SHA-256 that is kept of it."""
    key = "hg-" + secrets.token_urlsafe(32)
    return key, _digest(key)


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
