"""Views: what a text says once an encoding in it is undone.

Rules of this file
- A view decodes every run that it finds, whatever surrounds the run and at every alignment: nobody has to say where a base64 begins.
- Decoding is *local*: what a byte decodes to depends on the few bytes before and after it (`MARGIN`), never on how a text
  began. So a text may be scanned in windows, and an endless encoded line needs no memory.
- `View.span` leads a place in the decoded bytes back to the encoded bytes that cover it, rounded outward.
- Binary stays out: of base64, hex and base32 only what decodes to readable ASCII is a view. A value itself under base64 or
  hex is a pattern of its own, and what may be under a *second* encoding is ASCII. (So a value that is not ASCII is not
  found under base32.)
"""

from __future__ import annotations

import re
from binascii import a2b_base64, unhexlify
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kv.redact.census import BASE32, BASE64, DIGITS, HEX, Alphabet, Census
from kv.redact.escapes import TOKEN, Unescaped, unescaped
from kv.redact.fold import LINE_BREAKS, Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Bytes of context at either end of a text whose decoding may differ from that in a longer text: two levels of the longest token.
MARGIN = TOKEN * TOKEN + 380

_ITSELF = Alphabet("", 8, 0, b"")
_SPARSE = 64  # bytes for each token from which on it pays to look at their neighbourhoods only


class View(Protocol):
    """Decoded bytes and the way back."""

    form: str
    data: bytes

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the encoded bytes of `data[start:end]` stand; None if it is no one run's, or too little to be one's secret."""


class Piece(NamedTuple):
    """A decoded run: its place among the others, its first character, and how many bits of that belong to an earlier byte."""

    start: int
    size: int
    first: int
    skew: int


class Joined:
    """Decoded runs, one after the other. 0xFF stands between them: no readable text has it, and folding keeps it."""

    def __init__(self, alphabet: Alphabet, runs: Iterable[tuple[int, int, bytes]]) -> None:
        self._alphabet = alphabet
        self._pieces: list[Piece] = []
        chunks: list[bytes] = []
        size = 0
        for first, skew, chunk in runs:
            self._pieces.append(Piece(size, len(chunk), first, skew))
            chunks.append(chunk)
            size += len(chunk) + 1
        self.data = b"\xff".join(chunks)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The characters that hold bits of `data[start:end]`."""
        piece = self._pieces[bisect_right(self._pieces, start, key=lambda piece: piece.start) - 1]
        if end > piece.start + piece.size or end - start < self._alphabet.least:
            return None
        bits = self._alphabet.bits
        first = piece.first + (piece.skew + 8 * (start - piece.start)) // bits
        last = piece.first + (piece.skew + 8 * (end - piece.start) - 1) // bits
        return max(0, first), last + 1


class Decoded:
    """The runs of one alphabet in a text, decoded. `near`, if given, is the text: what of a larger one is to be looked at."""

    def __init__(self, alphabet: Alphabet, text: bytes, runs: Iterable[tuple[int, int, bytes]], near: Joined | None) -> None:
        self.form = alphabet.form
        self._joined = Joined(alphabet, runs)
        self.data = self._joined.data
        self._text = text
        self._near = near
        self._kept: Kept | None = None

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """See `View.span`."""
        row = self._joined.span(start, end)
        if row is None:
            return None
        self._kept = self._kept or Kept(self._text, LINE_BREAKS)
        place = self._kept[row[0]], self._kept[row[1] - 1] + 1
        return self._near.span(*place) if self._near else place


def views(text: bytes, above: View | None = None) -> Iterator[View]:
    """Every view of `text` in which something is decoded. `above` is the view that `text` is the data of, if it is one's."""
    yield from unescaped(text)
    near = _neighbourhoods(above) if isinstance(above, Unescaped) else None
    text = near.data if near else text
    census = Census(text)
    for alphabet, runs in ((BASE64, _base64_runs), (HEX, _hex_runs), (BASE32, _base32_runs)):
        decoded = Decoded(alphabet, text, runs(census), near)
        if decoded.data:
            yield decoded


def _neighbourhoods(view: Unescaped) -> Joined | None:
    """The words that a decoded token made, is in or is next to: every other run has been decoded in the text above already."""
    tokens = view.touched()
    if len(tokens) * _SPARSE > len(view.data):
        return None
    digits = view.data.translate(DIGITS)
    stretches: list[tuple[int, int]] = []
    for start, end in tokens:
        if not stretches or end > stretches[-1][1]:
            after = digits.find(b" ", end)
            stretches.append((digits.rfind(b" ", 0, start) + 1, len(digits) if after < 0 else after))
    return Joined(_ITSELF, ((start, 0, view.data[start:end]) for start, end in stretches))


_READABLE = re.compile(rb"[\t\n\r -~]{8,}")


def _base64_runs(census: Census) -> Iterator[tuple[int, int, bytes]]:
    for start, end in census.base64():
        # What is no digit counts as a zero: at the ends of a run it belongs to no byte of what the run encodes.
        chunk = census.text[max(start, 0) : end].rjust(end - start, b"A").translate(BASE64.digits)
        yield start, 0, a2b_base64(chunk + b"A" * (-len(chunk) % 4))[: len(chunk) * 6 // 8]


def _hex_runs(census: Census) -> Iterator[tuple[int, int, bytes]]:
    for start, end in census.hex():
        yield start, 0, unhexlify(census.text[start:end])


def _base32_runs(census: Census) -> Iterator[tuple[int, int, bytes]]:
    """Each run as one number; where eight bits in it, eight bits apart, are zero, eight bytes of ASCII may stand at that alignment."""
    for start, end in census.base32():
        size = (end - start) * 5
        number = int(census.text[start:end].translate(BASE32.digits), 32)
        zeros = number ^ ((1 << size) - 1)
        for step in (8, 16, 32):
            zeros &= zeros >> step
        if zeros:
            for skew in range(8):
                length = (size - skew) // 8
                rest = (number & ((1 << (size - skew)) - 1)) >> (size - skew - length * 8)
                for match in _READABLE.finditer(rest.to_bytes(length, "big")):
                    bits = skew + 8 * match.start()
                    yield start + bits // 5, bits % 5, match[0]
