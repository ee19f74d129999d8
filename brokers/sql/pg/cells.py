"""PostgreSQL's values as JSON fragments, from the server's own spelling of them. Pure.

Rules of this file
- Results are asked for as text: every type, known or not, is then spelled as the server spells it, to the last digit.
- What JSON holds exactly is JSON: integers up to 2^53, finite floats, booleans, JSON, arrays of these. All else is a
  string.
- Bytes that are no UTF-8 (a database in SQL_ASCII holds anything) are replaced, never refused.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from brokers.sql.rows import integer, text

if TYPE_CHECKING:
    from collections.abc import Callable

    Encoder = Callable[[bytes], str]

_JSON, _JSONB = 114, 3802
_INTEGERS = frozenset({20, 21, 23, 26})  # int8, int2, int4, oid
_FLOATS = frozenset({700, 701})
_BOOL = 16
_MAX_DEPTH = 16  # dimensions of an array: PostgreSQL has six
# An item of an array: quoted, or plain up to the next mark; or a mark.
_ITEM = re.compile(r'"((?:[^"\\]|\\.)*+)"|([{},;])|([^{},;"\\]+(?:\\.[^{},;"\\]*)*)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def encoder(oid: int, element: int | None = None) -> Encoder:
    """How a value of this type is written; `element` is the type of an array's items, None for what is no array."""
    if element is not None:
        item = encoder(element)
        return lambda data: _array(data.decode("utf-8", "replace"), item)
    if oid in _INTEGERS:
        return _integer
    if oid in _FLOATS:
        return _float
    if oid == _BOOL:
        return lambda data: "true" if data == b"t" else "false"
    if oid in {_JSON, _JSONB}:
        return _document
    return _text


def _text(data: bytes) -> str:
    return text(data.decode("utf-8", "replace"))


def _integer(data: bytes) -> str:
    return integer(int(data))


def _float(data: bytes) -> str:
    return data.decode("ascii") if data[-1:].isdigit() else _text(data)  # NaN, Infinity


def _document(data: bytes) -> str:
    """JSON as it is. The server has parsed it; what Python's own parser would not take is a string all the same."""
    found = data.decode("utf-8", "replace")
    try:
        json.loads(found, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text(found)
    return found


def _refuse(_: str) -> None:
    raise ValueError


def _array(found: str, item: Encoder) -> str:
    """`{1,NULL,{"a b"}}` as `[1,null,["a b"]]`; with bounds in front (`[0:1]={…}`) likewise. Else the text itself."""
    start = found.find("{")
    if start < 0 or (start and found[start - 1] != "="):
        return text(found)
    out: list[str] = []
    depth, before = 0, ""
    for match in _ITEM.finditer(found, start):
        quoted, mark, plain = match.groups()
        if mark == "{":
            depth += 1
            out.append("[")
        elif mark == "}":
            depth -= 1
            out.append("]")
        elif mark:
            out.append(",")
        elif quoted is not None:
            out.append(item(_ESCAPED.sub(r"\1", quoted).encode()))
        else:
            out.append("null" if plain == "NULL" else item(_ESCAPED.sub(r"\1", plain).encode()))
        before = mark or "x"
        if depth > _MAX_DEPTH:
            return text(found)
    return "".join(out) if not depth and before == "}" else text(found)
