"""Passwords are kept as argon2id hashes (RFC 9106), with the library's current defaults for memory and time."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from models.base import InputError

MIN_CHARACTERS, MAX_CHARACTERS = 10, 1024

_HASHER = PasswordHasher()
_NOBODYS = _HASHER.hash("the password of nobody")


def hashed(password: str) -> str:
    """
    Return the hash of a new password.

    Raises:
        InputError: it is too short or too long.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InputError(
            f"a password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters; this one has {len(password)}."
        )
    return _HASHER.hash(password)


def matches(password: str, known: str | None) -> bool:
    """Return whether a password is the one hashed; without a hash as much time goes by, and the answer is no."""
    try:
        return _HASHER.verify(known or _NOBODYS, password[:MAX_CHARACTERS]) and bool(known)
    except (VerifyMismatchError, InvalidHashError):
        return False
