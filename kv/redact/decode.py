"""Views: what a text says once an encoding in it is undone.

Rules of this file
- A view decodes every run that it finds, whatever surrounds the run and at every alignment: nobody has to say where a
  base64 begins.
- Decoding is *local*: what a byte decodes to depends on the few bytes before and after it (`MARGIN`), never on how a
  text began. So a text may be scanned in windows, and an endless encoded line needs no memory.
- `View.span` leads a place in the decoded bytes back to the encoded bytes that cover it, rounded outward.
- Binary stays out: of base64, hex and base32 only what decodes to readable ASCII is a view. A value itself under
  base64 or hex is a pattern of its own, and what may be under a *second* encoding is ASCII. (So a value that is not
  ASCII is not found under base32.)
"""

from __future__ import annotations

import re
from binascii import a2b_base64, unhexlify
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kv.redact.census import BASE32, BASE64, DIGITS, HEX, Alphabet, Census
from kv.redact.escapes import TOKEN, Place, Unescaped, unescaped
from kv.redact.fold import LINE_BREAKS, Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Bytes at either end of a text whose decoding may differ from that in a longer text: two levels of the longest token.
MARGIN = TOKEN * TOKEN + 380

_ITSELF = Alphabet("", 8, 0, b"")
_RUN = b"x" * 13  # what `DIGITS` makes of a row; shorter ones of no alphabet hold a find
_SMALL = 4096  # bytes up to which it pays to look for one first
_SPARSE = 64  # bytes for each token from which on it pays to look at their neighbourhoods only


class View(Protocol):
    """Decoded bytes and the way back."""

    form: str
    data: bytes

    def span(self, place: Place) -> Place | None:
        """Where the encoded bytes of a place in `data` stand; None if it is no one run's, or less than a hit can be."""


class Run(NamedTuple):
    """Decoded bytes, the first character that they come from, and how many bits of it belong to an earlier byte."""

    first: int
    skew: int
    data: bytes


class Joined:
    """Decoded runs one after the other, 0xFF between them: no readable text has it, and folding keeps it."""

    def __init__(self, alphabet: Alphabet, runs: Sequence[Run]) -> None:
        self._alphabet = alphabet
        self._runs = runs
        self._starts = list(accumulate((len(run.data) + 1 for run in runs), initial=0))
        self.data = b"\xff".join(run.data for run in runs)

    def span(self, place: Place) -> Place | None:
        """The characters that hold bits of a place in `data`: of the match's run, whatever is around the match."""
        at = bisect_right(self._starts, place.first) - 1
        low, high = self._starts[at], self._starts[at + 1] - 1
        start, end = max(low, place.start), min(high, place.end)
        if place.last > high or end - start < self._alphabet.least:
            return None
        run, bits = self._runs[at], self._alphabet.bits
        begin, first = (max(0, run.first + (run.skew + 8 * (at - low)) // bits) for at in (start, place.first))
        stop, last = (run.first + (run.skew + 8 * (at - low) - 1) // bits + 1 for at in (end, place.last))
        return Place(begin, stop, first, last)


class Decoded:
    """The runs of one alphabet in a text, decoded. `near`, if given, is the text: what of a larger one is read."""

    def __init__(self, alphabet: Alphabet, text: bytes, runs: Sequence[Run], near: Joined | None) -> None:
        self.form = alphabet.form
        self._joined = Joined(alphabet, runs)
        self.data = self._joined.data
        self._text = text
        self._near = near
        self._kept: Kept | None = None

    def span(self, place: Place) -> Place | None:
        """See `View.span`."""
        row = self._joined.span(place)
        if row is None:
            return None
        kept = self._kept = self._kept or Kept(self._text, LINE_BREAKS)
        place = Place(kept[row.start], kept[row.end - 1] + 1, kept[row.first], kept[row.last - 1] + 1)
        return self._near.span(place) if self._near else place


def views(text: bytes, above: View | None = None) -> Iterator[View]:
    """Every view of `text` in which something is decoded. `above` is the view whose data `text` is, if it is one's."""
    yield from unescaped(text)
    near = _neighbourhoods(above) if isinstance(above, Unescaped) else None
    text = near.data if near else text
    if len(text) < _SMALL and _RUN not in text.translate(DIGITS):  # a header's value is mostly words
        return
    census = Census(text)
    for alphabet, runs in ((BASE64, _base64_runs), (HEX, _hex_runs), (BASE32, _base32_runs)):
        found = list(runs(census))
        if found:
            yield Decoded(alphabet, text, found, near)


def _neighbourhoods(view: Unescaped) -> Joined | None:
    """The words that a decoded token made, is in or is next to: the others were read in the text above already."""
    if len(view.tokens) * _SPARSE > len(view.data):
        return None
    digits = view.data.translate(DIGITS) + b" "
    stretches: list[tuple[int, int]] = []
    for token in view.tokens:
        if not stretches or token.end > stretches[-1][1]:
            stretches.append((digits.rfind(b" ", 0, token.start) + 1, digits.find(b" ", token.end)))
    return Joined(_ITSELF, [Run(start, 0, view.data[start:end]) for start, end in stretches])


_READABLE = re.compile(rb"[\t\n\r -~]{8,}")


def _base64_runs(census: Census) -> Iterator[Run]:
    for start, end in census.base64():
        # What is no digit counts as a zero: at the ends of a run it belongs to no byte of what the run encodes.
        chunk = census.text[max(start, 0) : end].rjust(end - start, b"A").translate(BASE64.digits)
        yield Run(start, 0, a2b_base64(chunk + b"A" * (-len(chunk) % 4))[: len(chunk) * 6 // 8])


def _hex_runs(census: Census) -> Iterator[Run]:
    for start, end in census.hex():
        yield Run(start, 0, unhexlify(census.text[start:end]))


def _base32_runs(census: Census) -> Iterator[Run]:
    """Each run as one number. Eight zero bits, eight bits apart, may be the highest bits of eight bytes of ASCII."""
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
                    yield Run(start + bits // 5, bits % 5, match[0])
