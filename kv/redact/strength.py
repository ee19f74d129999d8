"""How hard a value is to guess, in bits: a cheap estimate that rather says too little.

Rules of this file
- It decides two things: whether `kv set` warns, and whether a hit confirms a guess (`GUESSABLE`). A wrong "weak" costs a
  warning; a wrong "strong" would let an agent spell a password out. So where shapes disagree, the lowest estimate counts.
- What repeats, runs in sequence or stands in a word list is counted as zxcvbn counts it; what is left, by the
  characters that it is drawn from.
"""

from __future__ import annotations

import math
import zlib

GUESSABLE = 64  # bits under which a guess at a value can be worth confirming
_MOST = 4096  # bits: no difference matters beyond, and no value needs to be read beyond
_LETTERS = math.log2(10)  # a lower-case letter of what may be a word or a name in a language that no list knows
_READ = 64  # characters that zxcvbn is given: its time grows with the square
_STREAM = 11  # bytes that zlib adds to any input


def strength(value: bytes) -> int:
    """Bits of a value: 0 for an empty one, at most 4,096."""
    sample = value[: _MOST // 4]
    try:
        text = sample.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    packed = max(0, len(zlib.compress(sample, 9)) - _STREAM) * 8
    bits = min(_drawn(sample), packed)
    if text and len(text) <= _READ:
        bits = min(bits, _words(text))
    return min(int(bits), _MOST)


def _drawn(sample: bytes) -> float:
    """Bits if every byte were drawn at random from the kinds of character present; the same few bytes over and over count less."""
    return len(sample) * math.log2(max(2, min(_kinds(sample), 4 * len(set(sample))))) if sample else 0


def _kinds(sample: bytes) -> int:
    digits = any(48 <= byte < 58 for byte in sample)
    if all(byte in b"0123456789abcdefABCDEF-" for byte in sample):
        return 10 if not any(chr(byte).isalpha() for byte in sample) else 16
    lower, upper = any(97 <= byte < 123 for byte in sample), any(65 <= byte < 91 for byte in sample)
    other = any(33 <= byte < 127 and not chr(byte).isalnum() for byte in sample)
    return 10 * digits + 26 * lower + 26 * upper + 12 * other + 128 * any(byte > 126 or byte < 33 for byte in sample)


def _words(text: str) -> float:
    """Bits by zxcvbn's best segmentation, with what it finds no pattern in counted by its own characters."""
    from zxcvbn import zxcvbn  # noqa: PLC0415  # 50 ms and the word lists' memory, for values that are being set only

    bits = 0.0
    for match in zxcvbn(text, max_length=_READ)["sequence"]:
        token = match["token"]
        if match["pattern"] != "bruteforce":
            bits += math.log2(max(1, match["guesses"]))
        elif token.isalpha() and (token.islower() or token.istitle() or token.isupper()):
            bits += len(token) * _LETTERS
        else:
            bits += _drawn(token.encode())
    return bits
