"""What MySQL's bytes of a row mean: the type's own word of a column, and how each of its values is written. Pure.

Rules of this file
- A value keeps the server's spelling: decimals, dates and times are text. Whole numbers and doubles are JSON numbers.
- Bytes without a character set are `0x…`, as the server reads them back. A BIT is one of these.
- A value that is not what its column says (a number with letters, JSON that is none) is text, never an error.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql import rows
from brokers.sql.rows import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BINARY = 63  # the character set that is none
_UNSIGNED, _ENUM, _SET, _ZEROFILL = 32, 256, 2048, 64  # a column's flags
_WHOLE = {1: "tinyint", 2: "smallint", 3: "int", 8: "bigint", 9: "mediumint", 13: "year"}
_FLOAT = {4: "float", 5: "double"}
_TEXTUAL = {0: "decimal", 246: "decimal", 7: "timestamp", 10: "date", 11: "time", 12: "datetime", 14: "date"}
_JSON, _BIT, _GEOMETRY, _NULL = 245, 16, 255, 6
# The kinds of strings by code: the word with a character set, and without one.
_STRINGS = {
    15: ("varchar", "varbinary"),
    247: ("enum", "enum"),
    248: ("set", "set"),
    249: ("tinytext", "tinyblob"),
    250: ("mediumtext", "mediumblob"),
    251: ("longtext", "longblob"),
    252: ("text", "blob"),
    253: ("varchar", "varbinary"),
    254: ("char", "binary"),
}
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")  # RFC 8259 section 6
_DEEPEST = 100  # levels of a JSON value that is embedded: readers recurse


@dataclass(frozen=True, slots=True)
class Field:
    """A column as the protocol describes it. `charset` is a number, `BINARY` for bytes."""

    name: str
    code: int
    charset: int
    flags: int


def column(field: Field) -> Column:
    """The column with the type's own word."""
    return Column(field.name, _word(field))


def _word(field: Field) -> str:
    code, flags = field.code, field.flags
    if code in _WHOLE or code in _FLOAT:
        word = _WHOLE.get(code) or _FLOAT[code]
        return f"{word} unsigned" if flags & _UNSIGNED and word != "year" else word
    if code in _STRINGS:
        if flags & (_ENUM | _SET):
            return "enum" if flags & _ENUM else "set"
        return _STRINGS[code][field.charset == BINARY]
    if code in _TEXTUAL:
        return _TEXTUAL[code]
    return {_JSON: "json", _BIT: "bit", _GEOMETRY: "geometry", _NULL: "null"}.get(code, f"type {code}")


def writer(field: Field, *, plain: bool) -> Callable[[bytes], str]:
    """How the column's values are written: as JSON, or `plain` as they stand in a file of text."""
    code = field.code
    if code in {_BIT, _GEOMETRY} or (code in _STRINGS and field.charset == BINARY and not field.flags & (_ENUM | _SET)):
        return _hex if plain else _hex_json
    if plain:
        return _text
    if code in _WHOLE:
        return _whole
    if code in _FLOAT:
        return _double
    return _embedded if code == _JSON else _text_json


def split(packet: bytes, count: int) -> list[bytes | None]:
    """A row's values. Raises `BrokerError("broken")` for a packet that is no row of `count`."""
    found: list[bytes | None] = []
    at, end = 0, len(packet)
    for _ in range(count):
        head = packet[at] if at < end else 0xFF
        at += 1
        if head == 0xFB:  # noqa: PLR2004 - the protocol's mark of NULL
            found.append(None)
            continue
        if head > 0xFB:  # noqa: PLR2004 - a longer length follows, in 2, 3 or 8 bytes
            size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(head, 0)
            if not size or at + size > end:
                raise BrokerError("broken")
            head = int.from_bytes(packet[at : at + size], "little")
            at += size
        if at + head > end:
            raise BrokerError("broken")
        found.append(packet[at : at + head])
        at += head
    if at != end:
        raise BrokerError("broken")
    return found


def written(values: Sequence[bytes | None], writers: Sequence[Callable[[bytes], str]]) -> list[str]:
    """The row as JSON fragments."""
    return ["null" if value is None else write(value) for value, write in zip(values, writers, strict=True)]


def spelled(values: Sequence[bytes | None], writers: Sequence[Callable[[bytes], str]]) -> list[str | None]:
    """The row as text, NULL as None."""
    return [None if value is None else write(value) for value, write in zip(values, writers, strict=True)]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _text_json(value: bytes) -> str:
    return rows.text(value.decode("utf-8", "replace"))


def _hex(value: bytes) -> str:
    return f"0x{value.hex().upper()}"


def _hex_json(value: bytes) -> str:
    return f'"0x{value.hex().upper()}"'


def _whole(value: bytes) -> str:
    try:
        return rows.integer(int(value))
    except ValueError:
        return _text_json(value)


def _double(value: bytes) -> str:
    return value.decode("ascii") if _NUMBER.fullmatch(value) else _text_json(value)


def _embedded(value: bytes) -> str:
    text = _text(value)
    if text.count("[") + text.count("{") > _DEEPEST and _depth(text) > _DEEPEST:
        return rows.text(text)
    try:
        json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return rows.text(text)
    return text


def _depth(text: str) -> int:
    """How deep brackets go, those within strings counted too: too deep is merely text."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _refused(_: str) -> None:
    raise ValueError
