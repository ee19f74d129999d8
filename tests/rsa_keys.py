"""Throw-away RSA keys for tests, as PEM; made once."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat


def private_key(which: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key; another for another `which`."""
    return _made(which, bits)


@cache
def _made(which: int, bits: int) -> rsa.RSAPrivateKey:
    del which
    return rsa.generate_private_key(65537, bits)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """The key as PKCS #8."""
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
