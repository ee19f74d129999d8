"""A PIN: 6 to 12 digits, kept as a salted keyed hash. Pure.

Rules of this file
- A PIN is a presence check. A million of them are tried in a second by whoever has the key, so no slow hash is spent
  on it: the key, the seal of the vault around the hash and the throttle in the keeper are what protects it.
- The few PINs that people choose first are refused.

Stored: salt (16 bytes) || BLAKE2b-256(PIN, key, salt, person "kv pin 1").
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from kv.errors import KvError

SALT_BYTES = 16
STORED_BYTES = SALT_BYTES + 32
DIGITS = range(6, 13)
_FEW = 3  # different digits: with fewer the PIN is a pattern, and patterns are tried first
_KNOWN = {"112358", "123321", "135790", "147258", "159753", "246810", "271828", "314159", "789456"}
_LADDER = "01234567890123456789"  # over the edge as well: 890123


def require_strong(pin: str) -> None:
    """Raise `usage` unless `pin` is 6 to 12 digits and none of those that are guessed first."""
    if len(pin) not in DIGITS or not (pin.isascii() and pin.isdigit()):
        raise KvError("usage", why="a PIN has 6 to 12 digits")
    if why := _weakness(pin):
        raise KvError("usage", why=f"this PIN is among the first that are guessed: {why}")


def _weakness(pin: str) -> str:
    if len(set(pin)) < _FEW:
        return "it repeats one or two digits"
    if pin in _LADDER or pin[::-1] in _LADDER:
        return "it counts up or down"
    if any(pin == (pin[:size] * len(pin))[: len(pin)] for size in range(_FEW, len(pin) // 2 + 1)):
        return "it repeats a group"
    if pin[::2] == pin[1::2]:
        return "it is made of pairs"
    return "it is a well-known one" if pin in _KNOWN else ""


def stored(pin: str, key: bytes, salt: bytes) -> bytes:
    """What the vault keeps of `pin`. `key` is its proofs subkey, `salt` 16 random bytes. Raises `usage`."""
    require_strong(pin)
    return salt + _hash(pin, key, salt)


def check(pin: str, key: bytes, kept: bytes, *, left: int) -> Literal[True]:
    """Whether `pin` is the one kept: true, or `proof-wrong` with the tries `left`. Constant time."""
    if len(kept) != STORED_BYTES:
        raise KvError("vault-damaged", why="the PIN's hash is malformed")
    digits = pin if pin.isascii() and len(pin) in DIGITS else ""
    if not hmac.compare_digest(_hash(digits, key, kept[:SALT_BYTES]), kept[SALT_BYTES:]):
        raise KvError("proof-wrong", left=left)
    return True


def _hash(pin: str, key: bytes, salt: bytes) -> bytes:
    if len(key) != 32 or len(salt) != SALT_BYTES:  # noqa: PLR2004  # a subkey
        raise ValueError("a key has 32 bytes, a salt 16")
    return hashlib.blake2b(pin.encode(), digest_size=32, key=key, salt=salt, person=b"kv pin 1").digest()
