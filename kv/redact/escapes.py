"""Escapes: encodings that replace single characters and leave the rest of a text as it is.

Rules of this file
- Percent encoding, backslash escapes (JSON, C, Python, JavaScript), those of CSS, and HTML entities; each token by
  itself, so that a text that is escaped in some places only is read as well. (CSS apart: the same digits are another
  character there than in octal.) Quoted-printable is met by folding and by `forms`.
- A backslash is never counted off in pairs (two before an `n` decode like one): that would make a place depend on how
  far back a row of backslashes began. Folding forgets backslashes, and `forms` allows for the letter.
- A token is at most `TOKEN` bytes. More leading zeros than that are nobody's serializer.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from functools import cache, cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = 34  # `&`, a name of 32 letters, `;`; numbers are bounded so as to fit as well
_SURROGATES = range(0xD800, 0xE000)


class Escape(NamedTuple):
    """One kind of escape: every token of it has `mark` in it, and `decode` gives the bytes that a token stands for."""

    form: str
    mark: bytes
    token: re.Pattern[bytes]
    decode: Callable[[re.Match[bytes]], bytes]


class Token(NamedTuple):
    """A decoded token: its bytes in the decoded text, and in the text itself."""

    start: int
    end: int
    from_start: int
    from_end: int


class Place(NamedTuple):
    """Bytes `[start, end)` around a match `[first, last)`: the match must be whole, what is around it may be cut."""

    start: int
    end: int
    first: int
    last: int


class Unescaped:
    """A text with the tokens of one `Escape` decoded: a `View`."""

    def __init__(self, escape: Escape, text: bytes, data: bytes) -> None:
        self.form = escape.form
        self.data = data
        self._escape = escape
        self._text = text

    def span(self, place: Place) -> Place:
        """See `View.span`."""
        start, first = (self._source(at)[0] for at in (place.start, place.first))
        end, last = (self._source(at - 1)[1] for at in (place.end, place.last))
        return Place(start, end, first, last)

    def _source(self, index: int) -> tuple[int, int]:
        """What one decoded byte was decoded from: its token, or itself."""
        at = bisect_right(self.tokens, index, key=lambda token: token.start) - 1
        if at < 0:
            return index, index + 1
        token = self.tokens[at]
        if index < token.end:
            return token.from_start, token.from_end
        source = token.from_end + index - token.end
        return source, source + 1

    @cached_property
    def tokens(self) -> list[Token]:
        """Every decoded token, in order. Only a text with hits, or few tokens, is gone through again for these."""
        found: list[Token] = []
        shrunk = 0
        for match in self._escape.token.finditer(self._text):
            text = self._escape.decode(match)
            if text != match[0]:  # `&oi;` is no character: its bytes stand for themselves
                start = match.start() - shrunk
                found.append(Token(start, start + len(text), *match.span()))
                shrunk = match.end() - found[-1].end
        return found


def unescaped(text: bytes) -> Iterator[Unescaped]:
    """`text` under each escape of which it has a token."""
    for escape in (PERCENT, BACKSLASH, CSS, ENTITY):
        if escape.mark in text:
            data = escape.token.sub(escape.decode, text)
            if data != text:
                yield Unescaped(escape, text, data)


def _character(number: int, token: bytes) -> bytes:
    """A code point in UTF-8; a token that names none stays as it is."""
    if number > sys.maxunicode or number in _SURROGATES:
        return token
    return chr(number).encode()


_BYTES = {b"%02x" % value: bytes([value]) for value in range(256)}
_CONTROLS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _pair(high: bytes, low: bytes) -> bytes:
    """The character that two surrogates stand for."""
    units = b"".join(int(half, 16).to_bytes(2, "big") for half in (high, low))
    return units.decode("utf-16-be").encode()


def _percent(match: re.Match[bytes]) -> bytes:
    byte, high, low, unit = match.groups()
    if byte:
        return _BYTES[byte.lower()]
    return _pair(high, low) if high else _character(int(unit, 16), match[0])


def _backslash(match: re.Match[bytes]) -> bytes:
    high, low, unit, braced, point, byte, octal, control = match.groups()
    if control:
        return _CONTROLS[control]
    if number := unit or braced or point:
        return _character(int(number, 16), match[0])
    if high:
        return _pair(high, low)
    return _BYTES[byte.lower()] if byte else bytes([int(octal, 8)])


def _css(match: re.Match[bytes]) -> bytes:
    return _character(int(match[1] or match[2], 16), match[0])


def _entity(match: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _names().get(name, match[0])
    return _character(int(decimal) if decimal else int(hexadecimal, 16), match[0])


@cache
def _names() -> dict[bytes, bytes]:
    from html.entities import html5  # 2,200 entries that a text without entities need not pay for

    return {name.encode(): text.encode() for name, text in html5.items() if name.endswith(";")}


_H = rb"[0-9A-Fa-f]"
_HIGH, _LOW = rb"[dD][89abAB]%b{2}" % _H, rb"[dD][c-fC-F]%b{2}" % _H
PERCENT = Escape(
    "url",
    b"%",
    re.compile(rb"%%(?:(%b{2})|u(%b)%%u(%b)|u(%b{4}))" % (_H, _HIGH, _LOW, _H)),
    _percent,
)
BACKSLASH = Escape(
    "json",
    b"\\",
    re.compile(
        rb"\\(?:u(%b)\\{1,4}u(%b)|u(%b{4})|u\{(%b{1,6})\}|U(%b{8})" % (_HIGH, _LOW, _H, _H, _H)
        + rb"|x(%b{2})|([0-3][0-7]{0,2}|[4-7][0-7]?)|([bfnrt]))" % _H
    ),
    _backslash,
)
# (A single digit names a control: of these only what breaks a line or parts words stands in a text.)
CSS = Escape("css", b"\\", re.compile(rb"\\(?:(%b{2,6})[ \t\n\r\f]?|([9aAdD]) )" % _H), _css)
ENTITY = Escape(
    "html",
    b"&",
    re.compile(rb"&(?:#([0-9]{1,31});?|#[xX](%b{1,30});?|([A-Za-z][A-Za-z0-9]{1,31};))" % _H),
    _entity,
)
