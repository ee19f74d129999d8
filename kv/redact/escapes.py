"""Escapes: encodings that replace single characters and leave the rest of a text as it is.

Rules of this file
- Percent encoding, backslash escapes (JSON, C, Python, JavaScript) and HTML character references; each token by itself, so that a
  text that is escaped in some places only is read as well.
- A backslash is never counted off in pairs (two before an `n` decode like one): that would make a place depend on how far back a row of
  backslashes began. Folding forgets backslashes, and `forms` allows for the letter.
- A token is at most 34 bytes. Leading zeros beyond that are nobody's serializer.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = 34  # `&`, a name of 32 letters, `;`


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

    def touched(self) -> list[tuple[int, int]]:
        """Where decoded tokens stand in `data`."""
        starts, tokens = self._tokens = self._tokens or self._survey()
        return [(start, start + decoded) for start, (_start, _end, decoded) in zip(starts, tokens, strict=True)]


def unescaped(text: bytes) -> Iterator[Unescaped]:
    """`text` under each escape of which it has a token."""
    for escape in ESCAPES:
        if escape.mark in text:
            data = escape.token.sub(escape.decode, text)
            if data != text:
                yield Unescaped(escape, text, data)


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
