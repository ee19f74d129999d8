"""A redactor that only has to be right: every rule of `kv.redact` again, a byte at a time, without engine, window or shortcut.

It shares no code with `kv.redact`. A text is a list of cells; a view is a list of cells made from another; a cell
knows which cells of the view above it encode it. Every folded form is tried at every place of every view.
"""

from __future__ import annotations

import base64
import html.entities
import json
import string
import urllib.parse
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGOTTEN = bytes(range(33)) + b"\x7f\\:+-"
LOOSE = FORGOTTEN + b"{}?kv"
B64 = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode()
B32 = (string.ascii_uppercase + "234567").encode()
HEX = b"0123456789abcdefABCDEF"
READABLE = b"\t\n\r" + bytes(range(32, 127))
MARKER = b"{{kv?}}"


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
        return bytes(cell.byte for cell in self.cells)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """The place in the text of `[start, end)` here."""
        if self.above is None:
            return start, end
        if end - start < self.least:
            return None
        return self.above.span(self.cells[start].first, self.cells[end - 1].last + 1)


class Form(NamedTuple):
    """What is looked for, with what may stand beside it."""

    pattern: bytes
    left: int
    right: int
    partial_left: bool
    partial_right: bool
    before: bytes = b""
    after: bytes = b""


def fold(data: bytes) -> bytes:
    """The folded bytes."""
    return bytes(byte for _index, byte in folded(data))


def folded(data: bytes) -> list[tuple[int, int]]:
    """(index, folded byte) of each byte that folding keeps."""
    return [
        (index, ord("/") if byte == ord("_") else ord(chr(byte).lower()) if byte < 128 else byte)
        for index, byte in enumerate(data)
        if byte not in FORGOTTEN
    ]


# --- forms


def spell(value: bytes, kind: str, shift: int) -> tuple[bytes, bool, bool]:
    """The characters that hold bits of `value` alone, and whether one before and one after hold bits of it too."""
    if kind == "hex":
        return "".join(f"{byte:02x}" for byte in value).encode(), False, False
    if kind == "raw":
        return value, False, False
    bits = "0" * 8 * shift + "".join(f"{byte:08b}" for byte in value)
    begin, end = 8 * shift, len(bits)
    bits += "0" * (-len(bits) % 6)
    own = [at for at in range(0, len(bits), 6) if at >= begin and at + 6 <= end]
    return bytes(B64[int(bits[at : at + 6], 2)] for at in own), begin % 6 > 0, end % 6 > 0


KINDS = [("raw", 0), ("base64", 0), ("base64", 1), ("base64", 2), ("hex", 0)]


def make(characters: bytes, before: bool, after: bool) -> Form:  # noqa: FBT001
    """A form of these characters: what is forgotten or trimmed at the ends is counted."""
    left = next((i for i, byte in enumerate(characters) if byte not in FORGOTTEN), len(characters))
    right = next((i for i, byte in enumerate(reversed(characters)) if byte not in FORGOTTEN), len(characters))
    pattern = fold(characters)
    while True:
        ends = [MARKER[at:] for at in range(1, 7) if pattern.startswith(MARKER[at:])]
        if not ends:
            break
        left, pattern = left + len(ends[0]), pattern[len(ends[0]) :]
    while True:
        starts = [MARKER[:at] for at in range(6, 0, -1) if pattern.endswith(MARKER[:at])]
        if not starts:
            break
        right, pattern = right + len(starts[0]), pattern[: -len(starts[0])]
    return Form(pattern, left, right, before, after)


def forms(value: bytes) -> list[Form]:
    """Every form of a value."""
    if len(value) < 8 or len(make(value, False, False).pattern) < 6:  # noqa: FBT003
        return []
    made: list[Form] = []
    if len(value) > 256:
        for at in [*range(0, len(value) - 64, 64), len(value) - 64]:
            if len(set(value[at : at + 64])) >= 8:
                made += windows(value, at)
    else:
        for kind, shift in KINDS:
            characters, before, after = spell(value, kind, shift)
            made.append(make(characters, before, after))
        for kind, shift in KINDS:
            characters, before, after = spell(value, kind, shift)
            made.append(make(characters[::-1], after, before))
        made += [make(spelling, False, False) for spelling in respelled(value)]
        for escaped in escapings(value):
            made += [make(*spell(escaped, kind, shift)) for kind, shift in KINDS[1:]]
    distinct: dict[bytes, Form] = {}
    for form in made:
        distinct.setdefault(form.pattern, form)
    return [form for form in distinct.values() if len(form.pattern) >= 6]


def windows(value: bytes, at: int) -> Iterator[Form]:
    """The forms of one window of a long value."""
    backwards = []
    for kind, shift in KINDS:
        characters = spell(value[at : at + 64], kind, shift)[0]
        margin = min(66, at) // 3 * 3
        around = spell(value[at - margin : at + 128], kind, shift)[0]
        start = {"raw": margin, "hex": 2 * margin, "base64": margin * 4 // 3}[kind]
        before, after = around[:start], around[start + len(characters) :]
        shared = kind == "base64"
        form = make(characters, shared, shared)
        yield form._replace(before=fold(before), after=fold(after))
        form = make(characters[::-1], shared, shared)
        backwards.append(form._replace(before=fold(after[::-1]), after=fold(before[::-1])))
    yield from backwards


def respelled(value: bytes) -> Iterator[bytes]:
    """Other bytes of the same text."""
    for prefix in (b"", b"\\"):
        yield View(list(unbackslash(View([Cell(byte, 0, 0) for byte in prefix + value])))).data
    if any(byte > 127 for byte in value):
        yield value.decode("latin-1").encode()
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return
        yield text[::-1].encode()
        if all(ord(character) < 256 for character in text):
            yield text.encode("latin-1")


def escapings(value: bytes) -> list[bytes]:
    """The value as programs escape it, where that is another string."""
    text = value.decode("utf-8", "replace")
    made = [json.dumps(text, ensure_ascii=flag)[1:-1].encode() for flag in (False, True)]
    made += [urllib.parse.quote(value, safe="").encode(), escape(text).encode()]
    made += [value[::-1]] if len(value) < 11 else []
    return [spelling for spelling in made if spelling != value]


# --- views


def hexes(data: bytes, at: int, least: int, most: int) -> int:
    """How many hex digits stand at `at`, at most `most`; 0 if fewer than `least`."""
    count = 0
    while count < most and at + count < len(data) and data[at + count] in HEX:
        count += 1
    return count if count >= least else 0


def spread(text: bytes, first: int, last: int) -> list[Cell]:
    return [Cell(byte, first, last) for byte in text]


def character(number: int) -> bytes | None:
    return None if number > 0x10FFFF or 0xD800 <= number < 0xE000 else chr(number).encode()


def unpercent(view: View) -> Iterator[Cell]:
    data, at = view.data, 0
    while at < len(data):
        if data[at] == ord("%") and hexes(data, at + 1, 2, 2):
            yield Cell(int(data[at + 1 : at + 3], 16), at, at + 2)
            at += 3
        else:
            yield Cell(data[at], at, at)
            at += 1


def unbackslash(view: View) -> Iterator[Cell]:
    data, at = view.data, 0
    while at < len(data):
        size, text = backslash(data, at) if data[at] == ord("\\") else (0, None)
        if text is None:
            yield from (Cell(data[i], i, i) for i in range(at, at + max(size, 1)))
        else:
            yield from spread(text, at, at + size - 1)
        at += max(size, 1)


def backslash(data: bytes, at: int) -> tuple[int, bytes | None]:  # noqa: PLR0911
    """(length of the token at `at`, its text); (0, None) for no token, (length, None) for one that names no character."""
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
    if kind == b"x" and hexes(data, at + 2, 2, 2):
        return 4, bytes([int(data[at + 2 : at + 4], 16)])
    octal = data[at + 1 : at + 4]
    if len(octal) == 3 and octal[0] in b"0123" and octal[1] in b"01234567" and octal[2] in b"01234567":
        return 4, bytes([int(octal, 8)])
    plain = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    return (2, plain[kind]) if kind in plain else (0, None)


def unentity(view: View) -> Iterator[Cell]:
    data, at = view.data, 0
    while at < len(data):
        size, text = entity(data, at) if data[at] == ord("&") else (0, None)
        if text is None:
            yield from (Cell(data[i], i, i) for i in range(at, at + max(size, 1)))
        else:
            yield from spread(text, at, at + size - 1)
        at += max(size, 1)


def entity(data: bytes, at: int) -> tuple[int, bytes | None]:
    """As `backslash`, for `&…;`."""
    end = at + 1
    if data[end : end + 1] == b"#":
        radix, allowed = (16, HEX) if data[end + 1 : end + 2] in {b"x", b"X"} else (10, b"0123456789")
        end = start = end + (2 if radix == 16 else 1)
        while end < len(data) and end < start + 8 and data[end] in allowed:
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


def digits(cells: list[Cell], first: int, last: int, width: int, alphabet: bytes, skew: int = 0) -> list[Cell]:
    """The bytes that characters `[first, last)` encode, from bit `skew` on; what is no digit, or not there, counts as zero."""
    bits = ""
    for at in range(first, last):
        byte = cells[at].byte if 0 <= at < len(cells) else 0
        byte = digit(byte, width)
        bits += f"{max(alphabet.find(byte), 0):0{width}b}"
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


def readable(cells: list[Cell], at: int, group: int, width: int, alphabet: bytes) -> bool:
    """True if the group of characters at `at` is of the alphabet and has readable high nibbles throughout."""
    if at + group > len(cells):
        return False
    for cell in cells[at : at + group]:
        if digit(cell.byte, width) not in alphabet:
            return False
    made = [cell.byte for cell in digits(cells, at, at + group, width, alphabet)]
    nibbles = [byte >> 4 in {0, 2, 3, 4, 5, 6, 7} for byte in made[:2]]
    return all(nibbles) and all(byte < 128 for byte in made[2:])


def unbase64(view: View) -> Iterator[View]:
    cells = unwrapped(view)
    good = [readable(cells, at, 4, 6, B64) for at in range(len(cells))]
    three = [all(at + 4 * i < len(good) and good[at + 4 * i] for i in range(3)) for at in range(len(cells))]
    for first, last in rows(three, 4):
        yield View(digits(cells, first - 4, min(len(cells), last + 16), 6, B64), view, 11)


def unhex(view: View) -> Iterator[View]:
    cells = unwrapped(view)
    alphabet = b"0123456789ABCDEF"
    good = [readable(cells, at, 2, 4, alphabet) for at in range(len(cells))]
    eleven = [all(at + 2 * i < len(good) and good[at + 2 * i] for i in range(11)) for at in range(len(cells))]
    for first, last in rows(eleven, 2):
        yield View(digits(cells, first, last + 22, 4, alphabet), view, 11)


def unbase32(view: View) -> Iterator[View]:
    cells = unwrapped(view)
    for alphabet in (B32, B32.lower()):
        marks = []
        for at in range(len(cells) - 12):
            stretch = [cell.byte for cell in cells[at : at + 13]]
            marks.append(all(b in alphabet for b in stretch) and not all(b in HEX for b in stretch))
        for first, last in rows(marks, 1):
            for skew in range(8):
                made = digits(cells, first, last + 13, 5, B32, skew)
                text = [cell.byte in READABLE for cell in made]
                for low, high in rows(text, 1):
                    if high - low >= 7:
                        yield View(made[low : high + 1], view, 8)


def views(view: View) -> Iterator[View]:
    """Every view of a view."""
    for decode in (unpercent, unbackslash, unentity):
        cells = list(decode(view))
        if len(cells) != len(view.cells) or any(c.byte != v.byte for c, v in zip(cells, view.cells, strict=True)):
            yield View(cells, view)
    for find in (unbase64, unhex, unbase32):
        yield from find(view)


# --- finds


def widen(data: bytes, at: int, step: int, loose: int, partial: bool) -> int:  # noqa: FBT001
    while loose and 0 <= at + step < len(data) and data[at + step] in LOOSE:
        at, loose = at + step, loose - 1
    beyond = at + step
    for _ in range(2):
        if 0 <= beyond < len(data) and data[beyond] in b"\r\n":
            beyond += step
    if partial and 0 <= beyond < len(data) and data[beyond] in B64 + b"-_":
        return beyond
    return at


def places(view: View, form: Form) -> Iterator[tuple[int, int]]:
    """Where a form stands in a view."""
    data = view.data
    kept = folded(data)
    plain = bytes(byte for _at, byte in kept)
    for at in range(len(plain)):
        if plain.startswith(form.pattern, at):
            start, end = at, at + len(form.pattern)
            before, after = form.before, form.after
            while before and start and plain[start - 1] == before[-1]:
                start, before = start - 1, before[:-1]
            while after and end < len(plain) and plain[end] == after[0]:
                end, after = end + 1, after[1:]
            first = widen(data, kept[start][0], -1, form.left, form.partial_left)
            last = widen(data, kept[end - 1][0], 1, form.right, form.partial_right)
            yield first, last + 1


def finds(text: bytes, secrets: dict[str, bytes]) -> list[tuple[int, int, str]]:
    """Every (start, end, name) that encodes a secret."""
    top = View([Cell(byte, at, at) for at, byte in enumerate(text)])
    below = list(views(top))
    every = [top, *below, *(deeper for view in below for deeper in views(view))]
    found = set()
    for name, value in secrets.items():
        for form in forms(value):
            for view in every:
                for start, end in places(view, form):
                    span = view.span(start, end)
                    if span:
                        found.add((*span, name))
    return sorted(found, key=lambda find: (find[0], -find[1], find[2]))


def redact(text: bytes, secrets: dict[str, bytes], reach: int) -> bytes:
    """The text with every secret replaced. Names are taken to be harmless."""
    out, done = b"", 0
    for start, end, name in finds(text, secrets):
        if end - start > reach or end <= done:
            continue
        if start >= done:
            out += text[done:start] + b"{{kv:" + name.encode() + b"}}"
        done = end
    return out + text[done:]
