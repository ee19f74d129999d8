r"""Cells as JSON fragments, by the number of their type. Pure.

Rules of this file
- What JSON cannot hold exactly is the server's own text: numeric, times, ranges, bytes (`\x…`), anything unknown.
- The server is not trusted to keep JSON whole: a fragment that is not a string is checked to be what it should be, and
  is a string otherwise.
- A cell is written within a tenth of a second: a longer array or JSON is a string, as the server spells it.
- What is no UTF-8 (a database without an encoding delivers anything) is replaced.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NoReturn

from brokers.sql import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Writer = Callable[[bytes], str]

BOOL, JSON, JSONB = 16, 114, 3802
INTEGERS = frozenset({20, 21, 23, 26})  # int8, int2, int4, oid
FLOATS = frozenset({700, 701})
MAX_DEPTH = 256  # of JSON within a cell: readers of JSON stop at about a thousand
MAX_ARRAY = 128 << 10  # bytes: read element by element
MAX_JSON = 1 << 20  # bytes: parsed, to see that it is whole
_INTEGER = re.compile(rb"-?[0-9]{1,20}")
_FLOAT = re.compile(rb"-?[0-9]{1,400}(?:\.[0-9]{1,400})?(?:e[+-]?[0-9]{1,4})?")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
# An array as text: brackets, commas, quoted elements with escapes, bare ones. Box has a semicolon for a comma.
_TOKENS = {
    comma: re.compile(rb'([{}])|(%b)|"((?:[^"\\]|\\.)*)"|([^{}%b"\\]+)' % (comma, comma), re.DOTALL)
    for comma in (b",", b";")
}
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)


def text(value: bytes) -> str:
    """Any text."""
    return rows.text(value.decode("utf-8", "replace"))


def integer(value: bytes) -> str:
    """An integer."""
    return rows.integer(int(value)) if _INTEGER.fullmatch(value) else text(value)


def real(value: bytes) -> str:
    """A float; NaN and the infinities are strings."""
    return value.decode() if _FLOAT.fullmatch(value) else text(value)


def boolean(value: bytes) -> str:
    """True or false."""
    return {b"t": "true", b"f": "false"}.get(value) or text(value)


def document(value: bytes) -> str:
    """JSON as it is, on one line; as a string where it is none, too long, or nested deeper than readers can bear."""
    found = value.decode("utf-8", "replace")
    if len(value) > MAX_JSON:
        return rows.text(found)
    try:
        json.loads(found, parse_constant=_constant)
    except (ValueError, RecursionError):
        return rows.text(found)
    if found.count("[") + found.count("{") > MAX_DEPTH and _depth(found) > MAX_DEPTH:
        return rows.text(found)
    return found.replace("\n", " ").replace("\r", " ").strip()


def _constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON


def _depth(found: str) -> int:
    depth = deepest = 0
    for match in _BRACKETS.finditer(found):
        mark = match.group()
        depth += 1 if mark in "[{" else -1 if mark in "]}" else 0
        deepest = max(deepest, depth)
    return deepest


def array(of: Writer, comma: bytes = b",") -> Writer:
    """The writer of arrays whose elements `of` writes."""

    def write(value: bytes) -> str:
        return (_array(value, of, comma) if len(value) <= MAX_ARRAY else None) or text(value)

    return write


def _array(value: bytes, of: Writer, comma: bytes) -> str | None:
    """Nested JSON lists, or None for what is no array. `[2:3]={7,8}`, whose indices begin at 2, is its elements."""
    at = value.find(b"=") + 1 if value.startswith(b"[") else 0
    out: list[str] = []
    depth, before = 0, ""  # what may follow depends on what was before: an opening, a comma, or an element
    tokens = _TOKENS[comma]
    while match := tokens.match(value, at):
        bracket, separator, quoted, bare = match.groups()
        mark = (bracket or separator or b"x").decode()
        if mark not in _FOLLOWS[before]:
            return None
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth > MAX_DEPTH:
            return None
        out.append(_MARKS.get(mark) or _element(quoted, bare, of))
        before = "x" if mark == "}" else "," if separator else mark
        at = match.end()
        if not depth:
            break
    return "".join(out) if depth == 0 and at == len(value) and out and out[0] == "[" else None


_FOLLOWS = {"": "{", "{": "{}x", ",": "{x", "x": "},;"}  # a closed list is an element
_MARKS = {"{": "[", "}": "]", ",": ",", ";": ","}


def _element(quoted: bytes | None, bare: bytes | None, of: Writer) -> str:
    if quoted is not None:
        return of(_ESCAPE.sub(rb"\1", quoted))
    return "null" if bare == b"NULL" else of(bare or b"")


_BASE: dict[int, Writer] = {
    BOOL: boolean,
    JSON: document,
    JSONB: document,
    **dict.fromkeys(INTEGERS, integer),
    **dict.fromkeys(FLOATS, real),
}


def writer(oid: int, elements: Mapping[int, tuple[int, bytes]]) -> Writer:
    """How cells of the type are written. `elements`: of an array type the type of its elements, and what parts them."""
    if oid in elements:
        element, comma = elements[oid]
        return array(_BASE.get(element, text), comma if comma in _TOKENS else b",")
    return _BASE.get(oid, text)


def written(cells: Sequence[bytes | None], writers: Sequence[Writer]) -> list[str]:
    """A row of fragments."""
    return ["null" if cell is None else write(cell) for cell, write in zip(cells, writers, strict=True)]


def spelled(cells: Sequence[bytes | None]) -> list[str | None]:
    """A row as the server spells it."""
    return [None if cell is None else cell.decode("utf-8", "replace") for cell in cells]
