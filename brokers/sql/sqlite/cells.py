"""What SQLite's values are in a document and in a file, and what its refusals say. Pure.

Rules of this file
- SQLite types its values, not its columns, and tells nobody how a column was declared: a column's type is that of its
  first value that is not NULL.
- A blob is `X'…'`, as SQLite reads it back.
"""

from __future__ import annotations

import math
import sqlite3
from typing import TYPE_CHECKING, Any

from brokers.sql import rows
from brokers.sql.rows import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = tuple[object, ...]
_TYPES = {int: "integer", float: "real", str: "text", bytes: "blob"}
_HINTS = {
    sqlite3.SQLITE_AUTH: "a statement of this kind does not reach settings, other files or unlisted functions",
    sqlite3.SQLITE_BUSY: "another program writes to the file: try again",
    sqlite3.SQLITE_LOCKED: "another program writes to the file: try again",
    sqlite3.SQLITE_READONLY: "the call reads only: say mode=write",
    sqlite3.SQLITE_TOOBIG: "one value is larger than may be held: select a part of it",
}
_MAX_MESSAGE = 4096  # characters


def columns(names: Sequence[str], found: Sequence[Row]) -> tuple[Column, ...]:
    """The columns, typed by the first rows."""
    return tuple(
        Column(name, next((_TYPES[type(row[at])] for row in found if row[at] is not None), "null"))
        for at, name in enumerate(names)
    )


def written(row: Row) -> list[str]:
    """The row as JSON fragments."""
    return [_FRAGMENTS[type(cell)](cell) for cell in row]


def spelled(row: Row) -> list[str | None]:
    """The row as text, NULL as None."""
    return [_TEXTS[type(cell)](cell) for cell in row]


def _blob(value: bytes) -> str:
    return f"X'{value.hex().upper()}'"


def _real(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'"{value}"'


# By type, looked up once a cell: the five that SQLite has.
_FRAGMENTS: dict[type, Callable[[Any], str]] = {
    int: rows.integer,
    float: _real,
    str: rows.text,
    bytes: lambda value: f'"{_blob(value)}"',
    type(None): lambda _: "null",
}
_TEXTS: dict[type, Callable[[Any], str | None]] = {
    int: str,
    float: repr,
    str: str,
    bytes: _blob,
    type(None): lambda _: None,
}


def refusal(error: sqlite3.Error | sqlite3.Warning) -> dict[str, str]:
    """What SQLite says, as an answer tells it. It has no SQLSTATE: its own word for the error stands there."""
    name = getattr(error, "sqlite_errorname", "") or "SQLITE_ERROR"
    told = {"sqlstate": name, "message": str(error)[:_MAX_MESSAGE]}
    hint = _HINTS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    return {**told, "hint": hint} if hint else told
