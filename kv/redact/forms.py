"""The forms of a secret: the byte strings that are looked for.

Rules of this file
- A form is made only where decoding the text cannot meet it: the value itself and reversed; under base64 and hex, and
  these reversed; with quotes doubled, and in quoted-printable. (Percent, JSON, CSS and HTML escapes, base32, and every
  *second* layer are decoded by `views`.) About a dozen a secret.
- base64 has three spellings, by where the value begins in a group of three bytes. The characters that also hold a
  neighbour's bits differ from text to text: they are not in the form, and `Form.shared` says that they are to be
  covered.
- A long value is looked for by windows, so that an excerpt is found too. Which: any `2 * WINDOW - 1` = 127
  consecutive bytes of a value of up to 64 KiB; of a longer one, any 63 bytes and a 1,024th of its length. In every
  encoding that a whole value is found in, and all of the excerpt is covered, not the window alone (unless it is spread
  wider than can be held back). Windows of fewer than `VARIETY` different bytes (zeros, rules of dashes) stand in any
  file and are left out.
"""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from functools import partial
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes

from kv.redact.census import BASE64
from kv.redact.engine import SHORTEST
from kv.redact.escapes import BACKSLASH
from kv.redact.fold import DELETED, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST = 8  # bytes of a value: shorter ones stand in any text
WHOLE = 256  # bytes up to which a value is looked for as a whole: this bounds how much text must be held back
WINDOW = 64
VARIETY = 8
_WINDOWS = 1024  # of one value: what their forms take is 7 MiB

# What quoted-printable leaves as it is: in a body (RFC 2045), and in a header (RFC 2047) as much or as little as
# programs do. There a blank is `_`.
_BODY = bytes(set(range(0x20, 0x7F)) - set(b"="))
_HEADERS = (
    bytes(set(_BODY) - set(b"?_")),
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/ ",
)

# What a marker `{{kv:?}}` ends and begins with must not begin or end a form: scrubbing twice would find more than
# once.
_MARKER = fold(b"{{kv:?}}")
_MARKER_ENDS = tuple(_MARKER[at:] for at in range(1, len(_MARKER)))
_MARKER_STARTS = tuple(_MARKER[:at] for at in range(len(_MARKER) - 1, 0, -1))


class Form(NamedTuple):
    """One folded byte string to look for.

    `left` and `right` count the bytes that folding took off its ends. `shared` says for either end whether a base64
    character beyond it holds bits of the value. `around` gives what an excerpt may have before and after a window,
    folded.
    """

    label: str
    pattern: bytes
    left: int
    right: int
    shared: tuple[bool, bool]
    around: Callable[[], tuple[bytes, bytes]] | None = None


class Encoding(NamedTuple):
    """A spelling of bytes. Three bytes take `width` characters.

    `encode` gives the characters that hold bits of the value alone, and whether others do before and after these.
    `backwards`: the characters are looked for in reverse.
    """

    label: str
    encode: Callable[[bytes], tuple[bytes, bool, bool]]
    width: int
    backwards: bool = False


def _plain(value: bytes) -> tuple[bytes, bool, bool]:
    return value, False, False


def _hex(value: bytes) -> tuple[bytes, bool, bool]:
    return value.hex().encode(), False, False


def _base64(shift: int, value: bytes) -> tuple[bytes, bool, bool]:
    size = shift + len(value)
    characters = b64encode(b"\0" * shift + value)[: size * 8 // 6]
    return characters[shift and shift + 1 :], shift > 0, size % 3 > 0


_PLAIN = Encoding("raw", _plain, 3)
_LAYERS = (*(Encoding("base64", partial(_base64, shift), 4) for shift in range(3)), Encoding("hex", _hex, 6))
_FORWARD = (_PLAIN, *_LAYERS)
ENCODINGS = (*_FORWARD, *(Encoding(f"reversed {e.label}", e.encode, e.width, backwards=True) for e in _FORWARD))


def forms(value: bytes) -> Iterator[Form]:
    """Every form of one value, by distinct patterns: none if it is `too_short`."""
    if too_short(value):
        return
    known: set[bytes] = set()
    for form in _windows(value) if len(value) > WHOLE else _wholes(value):
        if len(form.pattern) >= SHORTEST and form.pattern not in known:
            known.add(form.pattern)
            yield form


def too_short(value: bytes) -> bool:
    """True for a value that cannot be looked for: under 8 bytes, or hardly more than what folding forgets."""
    return len(value) < LEAST or len(_form(_PLAIN, value).pattern) < SHORTEST


def _wholes(value: bytes) -> Iterator[Form]:
    for encoding in ENCODINGS:
        yield _form(encoding, value)
    for spelling in _spellings(value):
        yield _form(_PLAIN, spelling)
    for spelling in _escaped(value):
        for encoding in _LAYERS:
            yield _form(encoding, spelling)


def _windows(value: bytes) -> Iterator[Form]:
    step = max(WINDOW, -(-len(value) // _WINDOWS))
    for at in (*range(0, len(value) - WINDOW, step), len(value) - WINDOW):
        window = value[at : at + WINDOW]
        if len(set(window)) >= VARIETY:
            for encoding in ENCODINGS:
                straddles = (
                    encoding.width % 3 > 0
                )  # wherever an excerpt begins or ends, a character may hold bits of both
                around = partial(_around, encoding, value, at, step)
                yield _form(encoding, window)._replace(around=around, shared=(straddles, straddles))


def _form(encoding: Encoding, value: bytes) -> Form:
    characters, before, after = encoding.encode(value)
    if encoding.backwards:
        characters, before, after = characters[::-1], after, before
    left = len(characters) - len(characters.lstrip(DELETED))
    right = len(characters) - len(characters.rstrip(DELETED))
    pattern = fold(characters)
    while end := next((end for end in _MARKER_ENDS if pattern.startswith(end)), b""):
        pattern, left = pattern[len(end) :], left + len(end)
    while start := next((start for start in _MARKER_STARTS if pattern.endswith(start)), b""):
        pattern, right = pattern[: -len(start)], right + len(start)
    return Form(encoding.label, pattern, left, right, (before, after))


def _around(encoding: Encoding, value: bytes, at: int, step: int) -> tuple[bytes, bytes]:
    """What an excerpt may have on either side of a window, up to where the next window is found by itself; folded."""
    margin = min(at, step + 2)
    margin -= margin % 3  # whole groups, so that base64 begins at the same shift
    start = margin * encoding.width // 3
    window = encoding.encode(value[at : at + WINDOW])[0]
    characters = encoding.encode(value[at - margin : at + WINDOW + step])[0]
    left, right = characters[:start], characters[start + len(window) :]
    if encoding.backwards:
        left, right = right[::-1], left[::-1]
    return fold(left), fold(right)


def _spellings(value: bytes) -> Iterator[bytes]:
    """Other bytes of the same text: decoding has taken its backslashes for escapes, or its charset was lost."""
    yield BACKSLASH.token.sub(BACKSLASH.decode, value)
    yield BACKSLASH.token.sub(BACKSLASH.decode, b"\\" + value)
    yield from _quoted(value)
    yield _printable(value, _BODY)
    yield from (_printable(value, kept).replace(b" ", b"_") for kept in _HEADERS)
    if not value.isascii():
        yield value.decode("latin-1").encode()
        with suppress(UnicodeError):
            text = value.decode()
            yield text[::-1].encode()
            yield text.encode("latin-1")


def _printable(value: bytes, kept: bytes) -> bytes:
    """The value in quoted-printable. Folding forgets the `=` of an escape and of a soft line break."""
    return b"".join(bytes([byte]) if byte in kept else b"=%02X" % byte for byte in value)


def _quoted(value: bytes) -> Iterator[bytes]:
    """The value within quotes: of CSV, SQL and YAML, which double them, and of a shell."""
    yield value.replace(b'"', b'""')
    for quote in (b"''", b"'\\''", b"'\"'\"'"):
        yield value.replace(b"'", quote)


def _escaped(value: bytes) -> Iterator[bytes]:
    """What is base64 or hex of too few bytes, or of bytes not ASCII, to be a view: the value escaped as programs do."""
    text = value.decode("utf-8", "replace")
    made = {
        json.dumps(text, ensure_ascii=False)[1:-1].encode(): None,
        json.dumps(text)[1:-1].encode(): None,
        quote_from_bytes(value, safe="").encode(): None,
        escape(text).encode(): None,
        value[::-1] if len(value) < BASE64.least else value: None,
    }
    yield from (spelling for spelling in made if spelling != value)
