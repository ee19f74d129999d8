"""Time-based one-time codes (RFC 6238 over RFC 4226): six digits, 30 s, HMAC-SHA-1, as every app makes them. Pure.

Rules of this file
- A code works once, whatever it was typed for: the counter of the last one accepted is kept for the whole vault, and
  nothing at or below it counts again (RFC 6238, 5.2). The code that enrols is burnt as well.
- One step of 30 s either way, no more: clocks differ, but each step more is another code to guess.
- No randomness, no clock and no storage here; the secret comes in as bytes.
"""

from __future__ import annotations

import base64
import hmac

import pyotp

from kv.errors import KvError

SECRET_BYTES = 20  # as RFC 4226, R6 recommends, and the block that SHA-1 gives
PERIOD = 30
WINDOW = 1


def check(secret: bytes, code: str, *, now: float, last_counter: int, left: int) -> int:
    """The counter that `code` belongs to: store it as the next `last_counter`, before anything else is done.

    `now` is wall time in seconds, `left` what the throttle still allows. Raises `proof-wrong`, and `proof-used` for
    a code at or before `last_counter`. Every candidate is compared in constant time, also after a match.
    """
    digits = "".join(code.split())  # apps show two groups of three
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):  # noqa: PLR2004  # RFC 6238's Digit
        raise KvError("proof-wrong", left=left)
    generator, step = _generator(secret), int(now // PERIOD)
    counters = range(max(0, step - WINDOW), step + WINDOW + 1)
    matching = [each for each in counters if hmac.compare_digest(generator.generate_otp(each), digits)]
    if not matching:
        raise KvError("proof-wrong", left=left)
    fresh = [each for each in matching if each > last_counter]
    if not fresh:
        raise KvError("proof-used")
    return fresh[0]


def uri(secret: bytes, account: str) -> str:
    """The `otpauth://` address that an app reads from a QR code; `account` tells this vault from others."""
    return _generator(secret).provisioning_uri(name=account, issuer_name="kv")


def base32(secret: bytes) -> str:
    """The secret as people type it into an app, in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def _generator(secret: bytes) -> pyotp.TOTP:
    if len(secret) != SECRET_BYTES:
        raise ValueError("a TOTP secret has 20 bytes")
    return pyotp.TOTP(base64.b32encode(secret).decode(), interval=PERIOD)
