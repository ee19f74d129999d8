"""The forms of a secret: the byte strings that are looked for.

Rules of this file
- A form is made only where decoding the text cannot meet it: the value itself and reversed; under base64 and hex, also reversed (a
  *second* layer, and every percent, JSON and HTML escape, is decoded by `views`). About ten forms a secret.
- base64 has three spellings, by where the value begins in a group of three bytes. The characters that also hold a neighbour's bits
  differ from text to text: they are not in the form, and `Form.partial` says that they are to be covered.
- A long value is looked for by windows, so that an excerpt is found too. Which: any `EXCERPT` consecutive bytes of it or
  more, in any encoding that a whole value is found in. What the excerpt has around the window is compared and covered as well.
  Windows of fewer than `VARIETY` different bytes (zeros, rules of dashes) are nobody's alone and are left out.
"""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from functools import partial
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote_from_bytes

from kv.redact.escapes import ESCAPES
from kv.redact.engine import SHORTEST
from kv.redact.fold import DELETED, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEAST = 8  # bytes of a value: shorter ones stand in any text
WHOLE = 256  # bytes up to which a value is looked for as a whole: this bounds how much text must be held back
WINDOW = 64
EXCERPT = 2 * WINDOW - 1
VARIETY = 8

# What a marker `{{kv:?}}` begins and ends with may not begin or end in the middle of a form, or scrubbing twice would find more.
_MARKER = fold(b"{{kv:?}}")
_MARKER_ENDS = tuple(_MARKER[at:] for at in range(1, len(_MARKER)))
_MARKER_STARTS = tuple(_MARKER[:at] for at in range(len(_MARKER) - 1, 0, -1))


class Form(NamedTuple):
    """One folded byte string to look for.

    `left` and `right` count the bytes at either end that folding forgot, `partial` says for either end whether a base64
    character beyond holds bits of the value. `around` gives what an excerpt may have before and after a window, folded.
    """

    label: str
    pattern: bytes
    left: int
    right: int
    partial: tuple[bool, bool]
    around: Callable[[], tuple[bytes, bytes]] | None = None


class Encoding(NamedTuple):
    """A spelling of bytes.

    `encode` gives its characters, without those that hold a neighbour's bits, and whether there are such before and after.
    Three bytes take `width` characters. `backwards`: the characters are looked for in reverse.
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
    """Every form of one value: none if it is shorter than `LEAST` bytes, or folds to almost nothing."""
    if len(value) < LEAST:
        return
    made = _windows(value) if len(value) > WHOLE else _wholes(value)
    known: set[bytes] = set()
    for form in made:
        if len(form.pattern) >= SHORTEST and form.pattern not in known:
            known.add(form.pattern)
            yield form


def too_short(value: bytes) -> bool:
    """True for a value that redaction cannot look for: under 8 bytes, or little but white space, `:`, `+`, `-` and `\\`."""
    return next(forms(value), None) is None


def _wholes(value: bytes) -> Iterator[Form]:
    for encoding in ENCODINGS:
        yield _form(encoding, value)
    for spelling in _spellings(value):
        yield _form(_PLAIN, spelling)
    for spelling in _escaped(value):
        for encoding in _LAYERS:
            yield _form(encoding, spelling)


def _windows(value: bytes) -> Iterator[Form]:
    for at in (*range(0, len(value) - WINDOW, WINDOW), len(value) - WINDOW):
        window = value[at : at + WINDOW]
        if len(set(window)) >= VARIETY:
            for encoding in ENCODINGS:
                yield _form(encoding, window)._replace(
                    around=partial(_around, encoding, value, at),
                    partial=(encoding.width == 4, encoding.width == 4),  # noqa: PLR2004  # base64, wherever the excerpt ends
                )


def _form(encoding: Encoding, value: bytes) -> Form:
    characters, before, after = encoding.encode(value)
    if encoding.backwards:
        characters, before, after = characters[::-1], after, before
    left = len(characters) - len(characters.lstrip(DELETED))
    right = len(characters) - len(characters.rstrip(DELETED))
    pattern = fold(characters)
    while ends := next((end for end in _MARKER_ENDS if pattern.startswith(end)), b""):
        pattern = pattern[len(ends) :]
        left += len(ends)
    while starts := next((start for start in _MARKER_STARTS if pattern.endswith(start)), b""):
        pattern = pattern[: -len(starts)]
        right += len(starts)
    return Form(encoding.label, pattern, left, right, (before, after))


def _around(encoding: Encoding, value: bytes, at: int) -> tuple[bytes, bytes]:
    """What an excerpt may have beyond a window, up to where the next window begins to match by itself; folded."""
    margin = min(at, WINDOW - 1)  # 0 or 63, a multiple of three: base64 begins at the same shift
    start = margin * encoding.width // 3
    window = encoding.encode(value[at : at + WINDOW])[0]
    characters = encoding.encode(value[at - margin : at + 2 * WINDOW - 1])[0]
    left, right = characters[:start], characters[start + len(window) :]
    if encoding.backwards:
        left, right = right[::-1], left[::-1]
    return fold(left), fold(right)


def _spellings(value: bytes) -> Iterator[bytes]:
    """Other bytes that the same text comes back as: backslashes that decoding takes for escapes, and wrong character sets."""
    json_view = ESCAPES[1]
    yield json_view.token.sub(json_view.decode, value)
    yield json_view.token.sub(json_view.decode, b"\\" + value)
    if value.isascii():
        return
    yield value.decode("latin-1").encode()
    with suppress(UnicodeError):
        text = value.decode()
        yield text[::-1].encode()
        yield text.encode("latin-1")


def _escaped(value: bytes) -> Iterator[bytes]:
    """The value escaped as programs do, where that differs: for base64 and hex of it, which short or not ASCII are no view."""
    text = value.decode("utf-8", "replace")
    made = (
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
        json.dumps(text)[1:-1].encode(),
        quote_from_bytes(value, safe="").encode(),
        escape(text).encode(),
    )
    yield from (spelling for spelling in dict.fromkeys(made) if spelling != value)
