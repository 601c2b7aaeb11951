"""Ed25519 by the letter of RFC 8032, and keys in files that other tools read."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.bundle import ed25519, signature
from scripts.bundle.manifest import BundleError

VECTORS = [  # RFC 8032, section 7.1: secret, public, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
        "4655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
        "b00d291612bb0c00",
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "expected"), VECTORS)
def test_signature_is_that_of_the_standard(secret: str, public: str, message: str, expected: str) -> None:
    assert ed25519.public_key(bytes.fromhex(secret)).hex() == public
    made = ed25519.sign(bytes.fromhex(secret), bytes.fromhex(message))
    assert made.hex() == expected
    assert ed25519.verify(bytes.fromhex(public), bytes.fromhex(message), made)


def test_signature_with_one_flipped_bit_is_refused() -> None:
    secret = bytes(32)
    public, message = ed25519.public_key(secret), b"a bundle"
    good = ed25519.sign(secret, message)
    for position in range(0, 512, 5):
        bad = bytearray(good)
        bad[position // 8] ^= 1 << position % 8
        assert not ed25519.verify(public, message, bytes(bad))
    assert not ed25519.verify(public, b"another", good)
    assert not ed25519.verify(ed25519.public_key(bytes([1]) * 32), message, good)


def test_signature_has_no_second_form() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    good = ed25519.sign(bytes(32), b"a bundle")
    answer = int.from_bytes(good[32:], "little") + order
    assert not ed25519.verify(ed25519.public_key(bytes(32)), b"a bundle", good[:32] + answer.to_bytes(32, "little"))


def test_keys_are_kept_private_and_never_overwritten(tmp_path: Path) -> None:
    secret, public = signature.generate(tmp_path, "bundle")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert ed25519.public_key(signature.read_secret(secret)) == signature.read_public(public)
    with pytest.raises(BundleError, match="never overwritten"):
        signature.generate(tmp_path, "bundle")
    secret.chmod(0o644)
    with pytest.raises(BundleError, match="can be read by others"):
        signature.read_secret(secret)
    with pytest.raises(BundleError, match="is not an Ed25519 public key"):
        signature.read_public(secret)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_accepts_keys_and_signatures(tmp_path: Path) -> None:
    secret, public = signature.generate(tmp_path, "bundle")
    message, made = tmp_path / "manifest.json", tmp_path / "manifest.sig"
    message.write_bytes(b"{}")
    made.write_bytes(ed25519.sign(signature.read_secret(secret), b"{}"))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"]
    subprocess.run([*command, "-in", str(message), "-sigfile", str(made)], check=True, capture_output=True)
