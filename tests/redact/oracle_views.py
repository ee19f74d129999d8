"""The oracle's views: every encoding undone a byte at a time. See `oracle`.

A text is a list of cells. A view is a list of cells made from another, and a cell knows which cells above it encode it.
"""

from __future__ import annotations

import html.entities
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

B64 = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()
B32 = (string.ascii_uppercase + "234567").encode()
B16 = b"0123456789ABCDEF"
HEX = b"0123456789abcdefABCDEF"
DIGITS = {6: B64, 5: B32, 4: B16}  # by the bits of one
READABLE = b"\t\n\r" + bytes(range(32, 127))


class Cell(NamedTuple):
    """One byte, and the cells `[first, last]` above it that it came from."""

    byte: int
    first: int
    last: int


@dataclass
class View:
    """Cells and what they were made from; a find of fewer than `least` cells does not count."""

    cells: list[Cell]
    above: View | None = None
    least: int = 0

    @property
    def data(self) -> bytes:
        """The cells' bytes."""
        return bytes(cell.byte for cell in self.cells)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The place in the text of `[start, end)` here."""
        if self.above is None:
            return start, end
        if end - start < self.least:
            return None
        return self.above.span(self.cells[start].first, self.cells[end - 1].last + 1)


def hexes(data: bytes, at: int, least: int, most: int) -> int:
    """How many hex digits stand at `at`, at most `most`; 0 if fewer than `least`."""
    count = 0
    while count < most and at + count < len(data) and data[at + count] in HEX:
        count += 1
    return count if count >= least else 0


def spread(text: bytes, first: int, last: int) -> list[Cell]:
    """Each byte of a token's text, from all of the token."""
    return [Cell(byte, first, last) for byte in text]


def character(number: int) -> bytes | None:
    """A code point in UTF-8, if it is one."""
    return None if number > 0x10FFFF or 0xD800 <= number < 0xE000 else chr(number).encode()


def percent(data: bytes, at: int) -> tuple[int, bytes | None]:
    """As `backslash`, for `%41` and `%u0041`."""
    if hexes(data, at + 1, 2, 2):
        return 3, bytes([int(data[at + 1 : at + 3], 16)])
    if data[at + 1 : at + 2] != b"u" or not hexes(data, at + 2, 4, 4):
        return 0, None
    number = int(data[at + 2 : at + 6], 16)
    if 0xD800 <= number < 0xDC00 and data[at + 6 : at + 8] == b"%u" and hexes(data, at + 8, 4, 4):
        low = int(data[at + 8 : at + 12], 16)
        if 0xDC00 <= low < 0xE000:
            return 12, chr(0x10000 + (number - 0xD800) * 1024 + low - 0xDC00).encode()
    return 6, character(number)


def css(data: bytes, at: int) -> tuple[int, bytes | None]:
    """As `backslash`, for a backslash, digits, and a blank or none."""
    size = hexes(data, at + 1, 2, 6)
    if not size:
        single = data[at + 1 : at + 2] in {b"9", b"a", b"A", b"d", b"D"} and data[at + 2 : at + 3] == b" "
        return (3, bytes([int(data[at + 1 : at + 2], 16)])) if single else (0, None)
    blank = data[at + 1 + size : at + 2 + size] in {b" ", b"\t", b"\n", b"\r", b"\f"}
    return 1 + size + blank, character(int(data[at + 1 : at + 1 + size], 16))


def detoken(view: View, mark: str, token: Callable[[bytes, int], tuple[int, bytes | None]]) -> Iterator[Cell]:
    """What `token` finds at each `mark` decoded; a token that names nothing is stepped over as it is."""
    data, at = view.data, 0
    while at < len(data):
        size, text = token(data, at) if data[at] == ord(mark) else (0, None)
        if text is None:
            yield from (Cell(data[i], i, i) for i in range(at, at + max(size, 1)))
        else:
            yield from spread(text, at, at + size - 1)
        at += max(size, 1)


def octals(data: bytes) -> bytes:
    """The octal digits that `data` begins with, as many as one byte can be written with."""
    size = next((at for at, byte in enumerate(data) if byte not in b"01234567"), len(data))
    return data[: size if data[:1] < b"4" else min(size, 2)]


def backslash(data: bytes, at: int) -> tuple[int, bytes | None]:  # noqa: C901, PLR0911 - one branch a spelling
    """(length of the token at `at`, its text); (0, None) for none, (length, None) for one that names no character."""
    kind = data[at + 1 : at + 2]
    if kind == b"u" and hexes(data, at + 2, 4, 4):
        number = int(data[at + 2 : at + 6], 16)
        if 0xD800 <= number < 0xDC00:
            end = at + 6
            while end < len(data) and end < at + 10 and data[end] == ord("\\"):
                end += 1
            if end > at + 6 and data[end : end + 1] == b"u" and hexes(data, end + 1, 4, 4):
                low = int(data[end + 1 : end + 5], 16)
                if 0xDC00 <= low < 0xE000:
                    return end + 5 - at, chr(0x10000 + (number - 0xD800) * 1024 + low - 0xDC00).encode()
        return 6, character(number)
    if kind == b"u" and data[at + 2 : at + 3] == b"{" and (size := hexes(data, at + 3, 1, 6)):
        if data[at + 3 + size : at + 4 + size] == b"}":
            return size + 4, character(int(data[at + 3 : at + 3 + size], 16))
        return 0, None
    if kind == b"U" and hexes(data, at + 2, 8, 8):
        return 10, character(int(data[at + 2 : at + 10], 16))
    if kind == b"x" and hexes(data, at + 2, 2, 2):
        return 4, bytes([int(data[at + 2 : at + 4], 16)])
    if octal := octals(data[at + 1 : at + 4]):
        return 1 + len(octal), bytes([int(octal, 8)])
    plain = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    return (2, plain[kind]) if kind in plain else (0, None)


def entity(data: bytes, at: int) -> tuple[int, bytes | None]:
    """As `backslash`, for `&…;`."""
    end = at + 1
    if data[end : end + 1] == b"#":
        radix, allowed = (16, HEX) if data[end + 1 : end + 2] in {b"x", b"X"} else (10, b"0123456789")
        end = start = end + (2 if radix == 16 else 1)
        while end < len(data) and end < start + (30 if radix == 16 else 31) and data[end] in allowed:
            end += 1
        if end == start:
            return 0, None
        number = int(data[start:end], radix)
        return end - at + (data[end : end + 1] == b";"), character(number)
    while end < len(data) and end < at + 33 and chr(data[end]).isascii() and chr(data[end]).isalnum():
        end += 1
    name = data[at + 1 : end].decode()
    if data[end : end + 1] != b";" or len(name) < 2 or not name[0].isalpha():
        return 0, None
    text = html.entities.html5.get(name + ";")
    return end + 1 - at, text.encode() if text else None


def unwrapped(view: View) -> list[Cell]:
    """The cells without line breaks, each knowing its place above."""
    return [Cell(cell.byte, at, at) for at, cell in enumerate(view.cells) if cell.byte not in b"\r\n"]


def digit(byte: int, width: int) -> int:
    """The standard digit: base64url's two count as base64's, base32 and hex have no case."""
    if width == 6:
        return {ord("-"): ord("+"), ord("_"): ord("/")}.get(byte, byte)
    return byte - 32 if 97 <= byte <= 122 else byte


def digits(cells: list[Cell], first: int, last: int, width: int, skew: int = 0) -> list[Cell]:
    """The bytes that characters `[first, last)` encode, from bit `skew` on; what is no digit counts as zero."""
    bits = ""
    for at in range(first, last):
        byte = cells[at].byte if 0 <= at < len(cells) else 0
        byte = digit(byte, width)
        bits += f"{max(DIGITS[width].find(byte), 0):0{width}b}"
    made = []
    for at in range(skew, len(bits) - 7, 8):
        low, high = first + at // width, first + (at + 7) // width
        made.append(Cell(int(bits[at : at + 8], 2), cells[max(low, 0)].first, cells[high].last))
    return made


def rows(marks: list[bool], step: int) -> Iterator[tuple[int, int]]:
    """Maximal rows of marks `step` apart: first and last."""
    for at, mark in enumerate(marks):
        if mark and not (at >= step and marks[at - step]):
            last = at
            while last + step < len(marks) and marks[last + step]:
                last += step
            yield at, last


def readable(cells: list[Cell], at: int, group: int, width: int) -> bool:
    """True if the group of characters at `at` is of the alphabet and has readable high nibbles throughout."""
    if at + group > len(cells):
        return False
    for cell in cells[at : at + group]:
        if digit(cell.byte, width) not in DIGITS[width]:
            return False
    made = [cell.byte for cell in digits(cells, at, at + group, width)]
    nibbles = [byte >> 4 in {0, 2, 3, 4, 5, 6, 7} for byte in made[:2]]
    return all(nibbles) and all(byte < 128 for byte in made[2:])


def unbase64(view: View) -> Iterator[View]:
    """Rows of three readable groups or more, and a group on either side."""
    cells = unwrapped(view)
    good = [readable(cells, at, 4, 6) for at in range(len(cells))]
    three = [all(at + 4 * i < len(good) and good[at + 4 * i] for i in range(3)) for at in range(len(cells))]
    for first, last in rows(three, 4):
        yield View(digits(cells, first - 4, min(len(cells), last + 16), 6), view, 11)


def unhex(view: View) -> Iterator[View]:
    """Rows of eleven readable pairs or more."""
    cells = unwrapped(view)
    good = [readable(cells, at, 2, 4) for at in range(len(cells))]
    eleven = [all(at + 2 * i < len(good) and good[at + 2 * i] for i in range(11)) for at in range(len(cells))]
    for first, last in rows(eleven, 2):
        yield View(digits(cells, first, last + 22, 4), view, 11)


def unbase32(view: View) -> Iterator[View]:
    """Rows of thirteen characters of one case or more, not all hex: eight readable bytes or more at each alignment."""
    cells = unwrapped(view)
    for alphabet in (B32, B32.lower()):
        marks = []
        for at in range(len(cells) - 12):
            stretch = [cell.byte for cell in cells[at : at + 13]]
            marks.append(all(b in alphabet for b in stretch) and not all(b in HEX for b in stretch))
        for first, last in rows(marks, 1):
            for skew in range(8):
                made = digits(cells, first, last + 13, 5, skew)
                text = [cell.byte in READABLE for cell in made]
                for low, high in rows(text, 1):
                    if high - low >= 7:
                        yield View(made[low : high + 1], view, 8)


def views(view: View) -> Iterator[View]:
    """Every view of a view."""
    for mark, token in (("%", percent), ("\\", backslash), ("\\", css), ("&", entity)):
        decoded = detoken(view, mark, token)
        cells = list(decoded)
        if len(cells) != len(view.cells) or any(c.byte != v.byte for c, v in zip(cells, view.cells, strict=True)):
            yield View(cells, view)
    for find in (unbase64, unhex, unbase32):
        yield from find(view)
