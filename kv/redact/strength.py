"""How hard a value is to guess, in bits: a cheap estimate that rather says too little.

Rules of this file
- It decides two things: whether `kv set` warns, and whether a hit confirms a guess (`GUESSABLE`). A wrong "weak"
  costs a warning; a wrong "strong" would let an agent spell a password out. So the lowest of several estimates
  counts.
- What repeats, runs in sequence or stands in a word list is counted as zxcvbn counts it; what is left, by the kinds
  of character that it is drawn from.
"""

from __future__ import annotations

import math
import string
import zlib

from kv.redact.parts import passwords

GUESSABLE = 64  # bits under which a guess at a value can be worth confirming
_MOST = 4096  # bits: no difference matters beyond
_SAMPLE = 1024  # bytes that are read
_BEGINNING = 16  # characters: 80 bits and more of a key
_READ = 64  # characters that zxcvbn is given: its time grows with the square
_LETTER = math.log2(10)  # bits of a letter in what may be a word or a name of a language that no list knows
_STREAM = 11  # bytes that zlib adds to any input
_HEX = frozenset(string.hexdigits + "-")
# Kinds of character, and from how many one of a kind is drawn. Punctuation is chosen from few.
_KINDS = ((string.digits, 10), (string.ascii_lowercase, 26), (string.ascii_uppercase, 26), (string.punctuation, 12))
_ELSE = 128


def strength(value: bytes) -> int:
    """Bits of a value: 0 for an empty one, at most 4,096. Of one that holds a password, no more than the password's.

    The rest of a DSN can be known (host, user, database), and then a guess at the whole is one at the password.
    """
    return min(_estimate(part) for part in (value, *passwords(value)))


def reaches(value: bytes, bits: int) -> bool:
    """Whether a value's strength is `bits` or more: in a tenth of the time, for a random one shows it by its beginning.

    Who guesses a value has guessed its beginning.
    """
    return all(_estimate(part[:_BEGINNING]) >= bits or _estimate(part) >= bits for part in (value, *passwords(value)))


def _estimate(value: bytes) -> int:
    sample = value[:_SAMPLE].decode("latin-1")
    packed = max(0, len(zlib.compress(value[:_SAMPLE], 9)) - _STREAM) * 8
    bits = min(_drawn(sample), packed)
    if value.isascii() and len(value) <= _READ:
        bits = min(bits, _words(sample))
    return min(int(bits), _MOST)


def _drawn(text: str) -> float:
    """Bits if every character were drawn at random from the kinds that occur; the same few over and over count less."""
    letters = set(text)
    kinds = sum(size for kind, size in _KINDS if letters & set(kind))
    if letters <= _HEX:
        kinds = 16
    if not letters <= set(string.printable):
        kinds += _ELSE
    return len(text) * math.log2(max(2, min(kinds, 4 * len(letters))))


def _words(text: str) -> float:
    """Bits by zxcvbn's best segmentation; what it finds no pattern in is counted by its own characters."""
    from zxcvbn import zxcvbn  # 50 ms and the memory of its lists: only a value that is set, or hit, is worth them

    bits = 0.0
    for match in zxcvbn(text, max_length=_READ)["sequence"] if text else ():
        token, pattern = match["token"], str(match["pattern"])  # (the stubs do not know of "bruteforce")
        if pattern != "bruteforce":
            bits += math.log2(max(1, match["guesses"]))
        elif token.isalpha() and (token.islower() or token.istitle() or token.isupper()):
            bits += len(token) * _LETTER
        else:
            bits += _drawn(token)
    return bits
