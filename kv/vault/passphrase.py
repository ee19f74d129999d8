"""How strong a passphrase is, and a strong one for who wants it.

Rules of this file
- The estimate is zxcvbn's: how many guesses a program takes that knows words, names, dates, keyboards and leaked
  passwords. It errs; so the floor leaves room, and a generated passphrase needs no estimate.
- Never called where a vault is opened: an old passphrase opens its vault, whatever is thought of it today.
"""

from __future__ import annotations

import secrets
from functools import cache
from importlib import resources
from math import log2

from kv.errors import KvError
from kv.vault.kdf import PASSPHRASE_MAX

# At the KDF's floor a graphics card makes some thousand guesses a second. A thousand such cards take 2^49 guesses,
# the half of 2^50, in some years, at a price that a developer's keys do not repay; 40 bits would be an afternoon.
FLOOR_BITS = 50
WORDS = 6  # of 7,776: 77.5 bits, out of reach of everyone for as long as the file may lie about

_JUDGED = 72  # characters: zxcvbn's time grows with the cube, and what follows only adds strength


def strength(passphrase: bytes | bytearray) -> int:
    """Bits: the binary logarithm of the guesses it takes, rounded down."""
    from zxcvbn import zxcvbn

    text = _as_text(bytes(passphrase[:PASSPHRASE_MAX]))[:_JUDGED]
    return int(log2(float(zxcvbn(text)["guesses"]))) if text else 0


def _as_text(passphrase: bytes) -> str:
    try:
        return passphrase.decode("utf-8")
    except UnicodeDecodeError:  # random bytes, from a descriptor
        return passphrase.decode("latin-1")


def require_strong(passphrase: bytes | bytearray) -> None:
    """Raise `KvError("weak-passphrase")`, with a strong one in its hint, or `KvError("too-large")`."""
    if len(passphrase) > PASSPHRASE_MAX:
        raise KvError("too-large", argument="passphrase", limit=f"{PASSPHRASE_MAX} bytes")
    bits = strength(passphrase)
    if bits < FLOOR_BITS:
        raise KvError("weak-passphrase", bits=bits, floor=FLOOR_BITS, suggestion=suggest())


def suggest() -> str:
    """Six words at random, joined by spaces: 77.5 bits."""
    return " ".join(secrets.choice(_words()) for _ in range(WORDS))


@cache
def _words() -> tuple[str, ...]:
    """The EFF's long list (2016): 7,776 words chosen to be typed and remembered. Read as data, out of xkcdpass."""
    text = (resources.files("xkcdpass") / "static" / "eff-long").read_text("ascii")
    return tuple(text.split())
