"""Views: what a text says once an encoding in it is undone.

Rules of this file
- A view decodes every run that it finds, whatever surrounds the run and at every alignment: nobody has to say where a base64 begins.
- Decoding is *local*: what a byte decodes to depends on the few bytes before and after it (`MARGIN`), never on how a text began.
  So a text may be scanned in windows, and an endless encoded line needs no memory. Hence a backslash is never counted off in
  pairs (`\\\\n` decodes like `\\n`; the needles allow for it).
- `View.span` leads a place in the decoded bytes back to the encoded bytes that cover it, rounded outward.
- Binary stays out: of base64, hex and base32 only what decodes to readable ASCII is a view. A value itself under base64 or
  hex is a pattern of its own, and what may be under a *second* encoding is ASCII. (So a value that is not ASCII is not
  found under base32.)
"""

from __future__ import annotations

import re
import sys
from binascii import a2b_base64, unhexlify
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kv.redact.census import BASE32, BASE64, HEX, Alphabet, Census
from kv.redact.fold import LINE_BREAKS, Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Bytes of context at either end of a text whose decoding may differ from that in a longer text: two levels of the longest
# token, `&#x000000061;` or a named character of up to 32 letters, squared, and some.
MARGIN = 1536


class View(Protocol):
    """Decoded bytes and the way back."""

    form: str
    data: bytes

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where the encoded bytes of `data[start:end]` stand; None if it is no one run's, or too little to be one's secret."""


class Escape(NamedTuple):
    """An encoding that replaces single characters and leaves the rest."""

    form: str
    mark: bytes
    token: re.Pattern[bytes]
    decode: Callable[[re.Match[bytes]], bytes]


class Unescaped:
    """A text with the tokens of one `Escape` decoded."""

    def __init__(self, escape: Escape, text: bytes, data: bytes) -> None:
        self.form = escape.form
        self.data = data
        self._escape = escape
        self._text = text
        self._tokens: tuple[list[int], list[tuple[int, int, int]]] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """See `View.span`."""
        return self._locate(start)[0], self._locate(end - 1)[1]

    def _locate(self, index: int) -> tuple[int, int]:
        """The encoded bytes of one decoded byte: its token's, or itself."""
        starts, tokens = self._tokens = self._tokens or self._survey()
        at = bisect_right(starts, index) - 1
        if at < 0:
            return index, index + 1
        start, end, decoded = tokens[at]
        if index < starts[at] + decoded:
            return start, end
        moved = end + index - starts[at] - decoded
        return moved, moved + 1

    def _survey(self) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Where each token's bytes begin in `data`; and its (start, end) in the text, with the number of bytes it decodes to."""
        starts: list[int] = []
        tokens: list[tuple[int, int, int]] = []
        shrunk = 0
        for match in self._escape.token.finditer(self._text):
            text = self._escape.decode(match)
            if text == match[0]:
                continue  # `&oi;` is no character: its bytes stand for themselves
            decoded = len(text)
            starts.append(match.start() - shrunk)
            tokens.append((*match.span(), decoded))
            shrunk += match.end() - match.start() - decoded
        return starts, tokens


class Piece(NamedTuple):
    """A decoded run: its place in the view, its first character, and how many bits of that belong to an earlier byte."""

    start: int
    first: int
    skew: int
    size: int


class Decoded:
    """The decoded runs of one alphabet, one after the other, 0xFF between them: no readable text has it, and folding keeps it."""

    def __init__(self, alphabet: Alphabet, text: bytes, runs: Iterator[tuple[int, int, bytes]]) -> None:
        self.form = alphabet.form
        self._alphabet = alphabet
        self._text = text
        self._kept: Kept | None = None
        chunks: list[bytes] = []
        self._pieces: list[Piece] = []
        size = 0
        for first, skew, decoded in runs:
            self._pieces.append(Piece(size, first, skew, len(decoded)))
            chunks.append(decoded)
            size += len(decoded) + 1
        self.data = b"\xff".join(chunks)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """See `View.span`."""
        piece = self._pieces[bisect_right(self._pieces, start, key=lambda piece: piece.start) - 1]
        if end > piece.start + piece.size or end - start < self._alphabet.least:
            return None
        self._kept = self._kept or Kept(self._text, LINE_BREAKS)
        bits = self._alphabet.bits
        first = max(0, piece.first + (piece.skew + 8 * (start - piece.start)) // bits)
        last = piece.first + (piece.skew + 8 * (end - piece.start) - 1) // bits
        return self._kept[first], self._kept[last] + 1


def views(text: bytes) -> Iterator[View]:
    """Every view of `text` in which something is decoded."""
    for escape in ESCAPES:
        if escape.mark in text:
            data = escape.token.sub(escape.decode, text)
            if data != text:
                yield Unescaped(escape, text, data)
    census = Census(text)
    for alphabet, runs in ((BASE64, _base64_runs), (HEX, _hex_runs), (BASE32, _base32_runs)):
        decoded = Decoded(alphabet, text, runs(census))
        if decoded.data:
            yield decoded


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


def _character(number: int, token: bytes) -> bytes:
    """A code point in UTF-8; a token that names none stays as it is."""
    if number > sys.maxunicode or 0xD800 <= number < 0xE000:
        return token
    return chr(number).encode()


_BYTES = {b"%02x" % value: bytes([value]) for value in range(256)}


def _percent(match: re.Match[bytes]) -> bytes:
    return _BYTES[match[1].lower()]


_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _backslash(match: re.Match[bytes]) -> bytes:
    high, low, unit, braced, byte, octal, control = match.groups()
    if control:
        return _CONTROLS[control]
    if unit or braced:
        return _character(int(unit or braced, 16), match[0])
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF)).encode()
    return bytes([int(byte, 16) if byte else int(octal, 8)])


def _entity(match: re.Match[bytes]) -> bytes:
    decimal, number, name = match.groups()
    if name:
        return _names().get(name, match[0])
    return _character(int(decimal) if decimal else int(number, 16), match[0])


@cache
def _names() -> dict[bytes, bytes]:
    from html.entities import html5  # noqa: PLC0415  # 2,200 entries that a text without entities need not pay for

    return {name.encode(): text.encode() for name, text in html5.items() if name.endswith(";")}


_H = rb"[0-9A-Fa-f]"
# Bounds: a token is at most 34 bytes, see MARGIN. Leading zeros beyond these are nobody's serializer.
ESCAPES = (
    Escape("url", b"%", re.compile(rb"%%(%b{2})" % _H), _percent),
    Escape(
        "json",
        b"\\",
        re.compile(
            rb"\\(?:u([dD][89abAB]%b{2})\\{1,4}u([dD][c-fC-F]%b{2})|u(%b{4})|u\{(%b{1,6})\}|x(%b{2})|([0-3][0-7]{2})|([bfnrt]))"
            % (_H, _H, _H, _H, _H)
        ),
        _backslash,
    ),
    Escape("html", b"&", re.compile(rb"&(?:#([0-9]{1,8});?|#[xX](%b{1,8});?|([A-Za-z][A-Za-z0-9]{1,31};))" % _H), _entity),
)
