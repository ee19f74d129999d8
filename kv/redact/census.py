"""Finding the runs worth decoding: base64, hex and base32 that may hold readable text.

Rules of this file
- A run is looked for in the text without its line breaks, so a wrapped encoding is one run.
- Most long words are no encoding, and decoding each at every alignment would cost more than the scan. So each
  character becomes one byte of flags ("may begin four characters of readable text", …), the text becomes one big
  integer, and shifts and ANDs of that integer ask the question of every position and alignment at once.
- A run is found by what is in it, not by what surrounds it: `least` decoded bytes always contain the groups that are
  asked for.
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from kv.redact.fold import LINE_BREAKS

if TYPE_CHECKING:
    from collections.abc import Iterator


class Alphabet(NamedTuple):
    """An encoding by digits of `bits` bits each; `least` decoded bytes are the least that a hit in it can be."""

    form: str
    bits: int
    least: int
    digits: bytes


_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LOWER = _UPPER.lower()
_DECIMAL = b"0123456789"
_DIGITS64 = _UPPER + _LOWER + _DECIMAL + b"+/"
_DIGITS32 = _UPPER + b"234567"

_GROUPS64 = 3  # groups of four characters, three bytes: eleven bytes at any alignment hold three whole ones
_PAIRS16 = 11
_FEW, _SOON = 16, 3  # rows of base32 in the first eighth of a text: then it pays to ask of all at once
_FEW_MARKS = 64  # up to which they are looked for one by one: taking each lane out costs a pass over the text
_RUN32 = 13  # eight bytes, a secret's least length, at any alignment


def _translation(default: bytes, pairs: dict[bytes, bytes]) -> bytes:
    table = bytearray(default * 256)
    for source, target in pairs.items():
        for old, new in zip(source, target, strict=True):
            table[old] = new
    return bytes(table)


BASE64 = Alphabet("base64", 6, 11, _translation(b"A", {_DIGITS64: _DIGITS64, b"-_": b"+/"}))
HEX = Alphabet("hex", 4, _PAIRS16, b"")
BASE32 = Alphabet(
    "base32",
    5,
    8,
    _translation(b"0", dict.fromkeys((_DIGITS32, _DIGITS32.lower()), b"0123456789abcdefghijklmnopqrstuv")),
)

# base64's digits and what may stand between two: every run of any of the three lies in one row of these.
DIGITS = bytes(120 if chr(byte) in (_DIGITS64 + b"-_" + LINE_BREAKS).decode() else 32 for byte in range(256))

_FIRST, _SECOND, _THIRD, _ANY, _HIGH, _NIBBLE, _CAPITAL, _SMALL = (1 << plane for plane in range(8))


_NIBBLES = frozenset({0, 2, 3, 4, 5, 6, 7})


def _flags() -> bytes:
    """For each character, the planes it is in.

    The high nibble of a readable byte (space to tilde, tab, line ends) is 0 or 2 to 7. In a group of four characters
    the first byte's is the four leading bits of the first, the second byte's are the last four bits of the second,
    and of the third byte's the last two bits of the third are the upper half.
    """
    table = bytearray(256)
    for value, digit in enumerate(_DIGITS64):
        table[digit] |= _ANY
        table[digit] |= _FIRST if value >> 2 in _NIBBLES else 0
        table[digit] |= _SECOND if value & 0xF in _NIBBLES else 0
        table[digit] |= _THIRD if value & 0b11 in {0b00, 0b01} else 0
    table[ord("-")], table[ord("_")] = table[ord("+")], table[ord("/")]
    for plane, digits in (
        (_HIGH, b"0234567"),
        (_NIBBLE, _DECIMAL + b"abcdefABCDEF"),
        (_CAPITAL, _DIGITS32),
        (_SMALL, _DIGITS32.lower()),
    ):
        for digit in digits:
            table[digit] |= plane
    return bytes(table)


_FLAGS = _flags()
_BITS = 5  # of a base32 digit


def _zeros() -> bytes:
    """For each character, the bits that are zero in the digit of base32 that it is, the first one lowest."""
    table = bytearray(256)
    for value, digit in enumerate(_DIGITS32):
        table[digit] = sum(1 << bit for bit in range(_BITS) if not value >> (_BITS - 1 - bit) & 1)
    for small, capital in zip(_DIGITS32.lower(), _DIGITS32, strict=True):
        table[small] = table[capital]
    return bytes(table)


_ZEROS = _zeros()
_MARK = re.compile(rb"[^\0]")


class Census:
    """The runs of one text. `text` is that text without line breaks; runs are (start, end) in it."""

    def __init__(self, text: bytes) -> None:
        for line_break in LINE_BREAKS:
            text = text.replace(bytes([line_break]), b"")
        self.text = text
        self._size = len(text)
        self._planes = int.from_bytes(text.translate(_FLAGS), "little")

    def base64(self) -> Iterator[tuple[int, int]]:
        """Three or more readable groups in a row, and one group on either side for the bytes that began or end there.

        The first start may lie up to four characters before the text.
        """
        planes = self._planes
        readable = planes & (planes >> 9) & (planes >> 18) & (planes >> 27)
        row = self._row(_repeated(readable, _GROUPS64, 4), _FIRST)
        for start, end in _runs(row, _FIRST, 4):
            yield start - 4, min(self._size, end + 4 * _GROUPS64)

    def hex(self) -> Iterator[tuple[int, int]]:
        """Eleven or more readable pairs in a row."""
        if self._long & _plane(_NIBBLE, self._size):
            readable = (self._planes >> 4) & (self._planes >> 13)
            row = self._row(_repeated(readable, _PAIRS16, 2), _FIRST)
            for start, end in _runs(row, _FIRST, 2):
                yield start, end + 2 * (_PAIRS16 - 1)

    def base32(self) -> Iterator[tuple[int, int]]:
        """Thirteen or more characters of one case; thirteen hex digits are taken for hex: dumps are full of them.

        Where there are many (a column of words without blanks), only those that can hold eight bytes of ASCII.
        """
        hexadecimal = self._long & _plane(_NIBBLE, self._size)
        marks = self._long & ~(hexadecimal << 1 | hexadecimal << 2)
        row = self._row(marks, _CAPITAL | _SMALL)
        # No character has both marks: of the digits that are in both cases all are hex digits.
        found: Iterator[tuple[int, int]] = chain(_runs(row, _CAPITAL, 1), _runs(row, _SMALL, 1))
        first = list(islice(found, _FEW))
        if len(first) == _FEW and first[-1][0] < self._size >> _SOON:
            found = self._holding(row, self._row(marks & self._ascii32(), _CAPITAL | _SMALL))
            first = []
        for start, end in chain(first, found):
            yield start, end + _RUN32 - 1

    def _holding(self, row: bytes, wanted: bytes) -> Iterator[tuple[int, int]]:
        """The rows of marks that have one in `wanted`; no row touches one of the other case."""
        end = 0
        while match := _MARK.search(wanted, end):
            end = row.find(b"\0", match.start())
            end = end if end >= 0 else self._size
            yield row.rfind(b"\0", 0, match.start()) + 1, end

    def _ascii32(self) -> int:
        """Where eight bytes of ASCII can begin in base32, at any bit of a character: their highest bits are zero.

        These bits are eight apart: one character and three bits, or two characters less two bits. By doubling.
        """
        zeros = int.from_bytes(self.text.translate(_ZEROS), "little")
        for apart in (8, 16, 32):
            characters, bits = divmod(apart, _BITS)
            nearer = (1 << (_BITS - bits)) - 1  # the bits of a character from which it is that many characters
            near = zeros >> 8 * characters + bits & _plane(nearer, self._size)
            far = zeros >> 8 * (characters + 1) - (_BITS - bits) & _plane(nearer ^ (1 << _BITS) - 1, self._size)
            zeros &= near | far
        some = zeros | zeros >> 2
        return ((some | some >> 1 | zeros >> 4) & _plane(_FIRST, self._size)) * (_CAPITAL | _SMALL)

    @cached_property
    def _long(self) -> int:
        """Where 13 characters of a plane begin, for all planes at once."""
        return _repeated(self._planes, _RUN32, 1)

    def _row(self, marks: int, planes: int) -> bytes:
        """Marks of these planes, a byte for each position; nothing if there are none."""
        marks &= _plane(planes, self._size)
        return marks.to_bytes(self._size, "little") if marks else b""


def _runs(row: bytes, plane: int, step: int) -> Iterator[tuple[int, int]]:
    """Maximal rows of marked positions `step` apart: (first, last + step)."""
    if not row:
        return
    mark = bytes([plane])
    marks = list(islice(_places(row, mark), _FEW_MARKS + 1))
    if len(marks) <= _FEW_MARKS:
        begun: dict[int, int] = {}  # where a row would go on: where it began
        for at in marks:
            begun[at + step] = begun.pop(at, at)
        yield from ((start, end) for end, start in begun.items())
        return
    marked = re.compile(mark + b"+")
    for phase in range(step):
        lane = row[phase::step]
        start = lane.find(mark)
        while match := marked.match(lane, start) if start >= 0 else None:
            end = match.end()
            yield phase + step * start, phase + step * end
            start = lane.find(mark, end)


def _places(row: bytes, mark: bytes) -> Iterator[int]:
    at = row.find(mark)
    while at >= 0:
        yield at
        at = row.find(mark, at + 1)


def _repeated(marks: int, times: int, step: int) -> int:
    """Where `times` marks stand in a row, `step` bytes apart: by doubling."""
    have = 1
    while have < times:
        more = min(have, times - have)
        marks &= marks >> 8 * step * more
        have += more
    return marks


def _plane(plane: int, size: int) -> int:
    """`plane` at each of `size` bytes or more (an AND with it costs no more for the excess)."""
    return _planes(plane, 1 << (max(size, 1) - 1).bit_length())


@lru_cache(maxsize=64)
def _planes(plane: int, size: int) -> int:
    return int.from_bytes(bytes([plane]) * size, "little")
