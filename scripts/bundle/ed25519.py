"""
Ed25519 signatures (RFC 8032, section 5.1) with Python's integers: verified where there is nothing but Python.

Signing takes milliseconds and is not constant in time: it is for a person at their own machine, not for a server. The
equation that a signature must fulfil is the one without cofactor, and encodings that are not the shortest are refused,
so that no signature has a second form.
"""

from __future__ import annotations

import hashlib
import secrets

SECRET_BYTES = PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)

_Point = tuple[int, int, int, int]
"""Extended coordinates: X, Y, Z, T with x = X/Z, y = Y/Z, x * y = T/Z."""


def new_secret() -> bytes:
    """Return a random secret key."""
    return secrets.token_bytes(SECRET_BYTES)


def public_key(secret: bytes) -> bytes:
    """Return the public key of a secret one."""
    scalar, _ = _expand(secret)
    return _compress(_multiply(scalar, _BASE))


def sign(secret: bytes, message: bytes) -> bytes:
    """Return the signature of a message; the same one every time."""
    scalar, prefix = _expand(secret)
    public = _compress(_multiply(scalar, _BASE))
    nonce = _hash(prefix + message)
    commitment = _compress(_multiply(nonce, _BASE))
    answer = (nonce + _hash(commitment + public + message) * scalar) % _ORDER
    return commitment + answer.to_bytes(32, "little")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a signature of a message was made with the secret key of ``public``."""
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    key, commitment = _decompress(public), _decompress(signature[:32])
    answer = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or answer >= _ORDER:
        return False
    challenge = _hash(signature[:32] + public + message)
    return _are_equal(_multiply(answer, _BASE), _add(commitment, _multiply(challenge, key)))


def _expand(secret: bytes) -> tuple[int, bytes]:
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret key has {SECRET_BYTES} bytes, not {len(secret)}")
    digest = hashlib.sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | (1 << 254)
    return scalar, digest[32:]


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.sha512(data).digest(), "little") % _ORDER


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _are_equal(one: _Point, other: _Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 == (one[1] * other[2] - other[1] * one[2]) % _P


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decompress(data: bytes) -> _Point | None:
    """Return the point that 32 bytes stand for, if they are the shortest form of one."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_1 % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _base() -> _Point:
    point = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    if point is None:
        raise ArithmeticError("the base point is not on the curve")
    return point


_BASE = _base()
