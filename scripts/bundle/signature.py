"""
Keys and signatures as files, in the forms that other tools know: PEM (PKCS #8, SPKI), and 64 raw bytes.

``openssl pkeyutl -verify -pubin -inkey KEY.pub -rawin -in manifest.json -sigfile manifest.sig`` checks the same thing.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import textwrap
from pathlib import Path

from scripts.bundle import ed25519
from scripts.bundle.manifest import BundleError

_SECRET_HEAD = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC_HEAD = bytes.fromhex("302a300506032b6570032100")
MAX_KEY_FILE_BYTES = 4096


def generate(folder: Path, name: str) -> tuple[Path, Path]:
    """
    Make a new key pair.

    Args:
        folder: where the two files go; made when missing.
        name: of the files, before ``.key`` and ``.pub``.

    Returns:
        The files of the secret and of the public key.

    Raises:
        BundleError: one of them is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    secret_file, public_file = folder / f"{name}.key", folder / f"{name}.pub"
    for file in (secret_file, public_file):
        if file.exists():
            raise BundleError(f"{file} is there already; a key is never overwritten. Choose another --name.")
    secret = ed25519.new_secret()
    _create(secret_file, _pem("PRIVATE KEY", _SECRET_HEAD + secret), 0o600)
    _create(public_file, _pem("PUBLIC KEY", _PUBLIC_HEAD + ed25519.public_key(secret)), 0o644)
    return secret_file, public_file


def read_secret(file: Path) -> bytes:
    """
    Return the secret key of a file.

    Raises:
        BundleError: it is none, or others can read it.
    """
    secret = _read(file, "PRIVATE KEY", _SECRET_HEAD)
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise BundleError(f"{file} can be read by others; run `chmod 600 {file}`, or make a new key.")
    return secret


def read_public(file: Path) -> bytes:
    """
    Return the public key of a file.

    Raises:
        BundleError: it is none.
    """
    return _read(file, "PUBLIC KEY", _PUBLIC_HEAD)


def fingerprint(public: bytes) -> str:
    """Return what two people compare over the telephone: SHA-256 of a public key, in groups of four."""
    return " ".join(textwrap.wrap(hashlib.sha256(public).hexdigest()[:40], 4))


def public_pem(public: bytes) -> bytes:
    """Return a public key as a file's content."""
    return _pem("PUBLIC KEY", _PUBLIC_HEAD + public)


def _create(file: Path, data: bytes, mode: int) -> None:
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(data)


def _pem(kind: str, der: bytes) -> bytes:
    return f"-----BEGIN {kind}-----\n{base64.b64encode(der).decode()}\n-----END {kind}-----\n".encode()


def _read(file: Path, kind: str, head: bytes) -> bytes:
    try:
        with file.open("rb") as stream:
            text = stream.read(MAX_KEY_FILE_BYTES).decode("ascii")
        body = re.fullmatch(rf"-----BEGIN {kind}-----\s+([A-Za-z0-9+/=\s]+)-----END {kind}-----\s*", text)
        der = base64.b64decode("".join(body[1].split()), validate=True) if body else b""
    except OSError as error:
        raise BundleError(f"the key {file} cannot be read ({error.strerror}).") from error
    except ValueError:
        der = b""
    if len(der) != len(head) + 32 or not der.startswith(head):
        raise BundleError(
            f"{file} is not an Ed25519 {kind.lower()}; make a pair with `python -m scripts.bundle keygen`."
        )
    return der[len(head) :]
