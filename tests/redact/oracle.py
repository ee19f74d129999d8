"""A redactor that only has to be right: every rule of `kv.redact` again, without engine, window or shortcut.

It shares no code with `kv.redact`. Every folded form is tried at every place of every view.
"""

from __future__ import annotations

import json
import urllib.parse
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from redact.oracle_views import B64, Cell, View, backslash, detoken, views

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGOTTEN = bytes(range(33)) + b"\x7f\\:+-="
LOOSE = FORGOTTEN + b"{}?kv"
PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
MARKER = b"{{kv?}}"


class Form(NamedTuple):
    """What is looked for, with what may stand beside it."""

    pattern: bytes
    left: int
    right: int
    shared: tuple[bool, bool]
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


def make(characters: bytes, shared: tuple[bool, bool] = (False, False)) -> Form:
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
    return Form(pattern, left, right, shared)


def forms(value: bytes) -> list[Form]:
    """Every form of a value."""
    if len(value) < 8 or len(make(value).pattern) < 6:
        return []
    made: list[Form] = []
    if len(value) > 256:
        for at in [*range(0, len(value) - 64, 64), len(value) - 64]:
            if len(set(value[at : at + 64])) >= 8:
                made += windows(value, at)
    else:
        for kind, shift in KINDS:
            characters, before, after = spell(value, kind, shift)
            made.append(make(characters, (before, after)))
        for kind, shift in KINDS:
            characters, before, after = spell(value, kind, shift)
            made.append(make(characters[::-1], (after, before)))
        made += [make(spelling) for spelling in respelled(value)]
        for escaped in escapings(value):
            for kind, shift in KINDS[1:]:
                characters, before, after = spell(escaped, kind, shift)
                made.append(make(characters, (before, after)))
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
        form = make(characters, (shared, shared))
        yield form._replace(before=fold(before), after=fold(after))
        form = make(characters[::-1], (shared, shared))
        backwards.append(form._replace(before=fold(after[::-1]), after=fold(before[::-1])))
    yield from backwards


def respelled(value: bytes) -> Iterator[bytes]:
    """Other bytes of the same text."""
    for prefix in (b"", b"\\"):
        yield View(list(detoken(View([Cell(byte, 0, 0) for byte in prefix + value]), "\\", backslash))).data
    yield value.replace(b'"', b'""')
    for quote in (b"''", b"'\\''", b"'\"'\"'"):
        yield quote.join(value.split(b"'"))
    for header, escaped in (
        (False, b"="),
        (True, b"=_?"),
        (True, b"=_?" + bytes(range(33, 128)).translate(None, PLAIN)),
    ):
        made = b""
        for byte in value:
            readable = 32 <= byte < 127 and byte not in escaped
            made += (b"_" if header and byte == 32 else bytes([byte])) if readable else f"={byte:02X}".encode()
        yield made
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


def widen(data: bytes, at: int, step: int, loose: int, *, shared: bool) -> int:
    """The last byte of a form in one direction: what was forgotten or trimmed, then a shared character."""
    while loose and 0 <= at + step < len(data) and data[at + step] in LOOSE:
        at, loose = at + step, loose - 1
    beyond = at + step
    for _ in range(2):
        if 0 <= beyond < len(data) and data[beyond] in b"\r\n":
            beyond += step
    if shared and 0 <= beyond < len(data) and data[beyond] in B64 + b"-_":
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
            wide = max(0, start - len(form.before)), min(len(plain), end + len(form.after))
            for low, high in {(start, end), wide}:
                first = widen(data, kept[low][0], -1, form.left, shared=form.shared[0])
                last = widen(data, kept[high - 1][0], 1, form.right, shared=form.shared[1])
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
