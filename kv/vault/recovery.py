"""The recovery code: 128 random bits for paper, seven groups of four characters.

Rules of this file
- Crockford's alphabet: no I, L, O or U. What is read or typed in their place is taken for what it looks like.
- The last 12 bits check the others: a slip of the pen is found at once, without a second of Argon2id.
- A code has 2^128 values and is not guessed, whatever the check gives away.
"""

from __future__ import annotations

import hashlib
import os

from kv.errors import KvError

SECRET = 16  # bytes
GROUPS, GROUP = 7, 4

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TAKEN_FOR = str.maketrans("OIL", "011", " -\t\r\n")
_CHECK_BITS = GROUPS * GROUP * 5 - SECRET * 8
_TYPED_MAX = 200  # characters: a code with every separator twice has half as many


def generate() -> tuple[bytes, str]:
    """A new code: its 16 bytes, and how it is written."""
    secret = os.urandom(SECRET)
    return secret, write(secret)


def write(secret: bytes) -> str:
    """The code of 16 bytes: `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`."""
    number = int.from_bytes(secret, "big") << _CHECK_BITS | _check(secret)
    digits = [_ALPHABET[number >> shift & 31] for shift in range((GROUPS * GROUP - 1) * 5, -1, -5)]
    return "-".join("".join(digits[at : at + GROUP]) for at in range(0, len(digits), GROUP))


def parse(text: str) -> bytes:
    """The 16 bytes of a code, typed in either case, with any or no separators. Raises `KvError("wrong-recovery")`."""
    digits = text.upper().translate(_TAKEN_FOR) if len(text) <= _TYPED_MAX else ""
    if len(digits) != GROUPS * GROUP or not set(digits) <= set(_ALPHABET):
        raise KvError("wrong-recovery")
    number = 0
    for digit in digits:
        number = number << 5 | _ALPHABET.index(digit)
    secret = (number >> _CHECK_BITS).to_bytes(SECRET, "big")
    if number & (1 << _CHECK_BITS) - 1 != _check(secret):
        raise KvError("wrong-recovery")
    return secret


def _check(secret: bytes) -> int:
    digest = hashlib.blake2b(secret, digest_size=2, person=b"kv recovery 1").digest()
    return int.from_bytes(digest, "big") >> (16 - _CHECK_BITS)
