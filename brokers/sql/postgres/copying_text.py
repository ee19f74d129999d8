r"""Rows as COPY's text format has them, and the statement that takes them. Pure.

Rules of this file
- Not CSV: a line of `\.` ends that on most servers, and what came after it would be lost without a word.
- Names are exact, as kv_schema shows them, and quoted. A dot parts schema and table, but not within quotes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql.postgres.role import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.arguments import Scalar

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NAME = re.compile(r'(?:"((?:[^"]|"")+)"|([^".]+))(?:\.(?=.)|$)')


def statement(table: str, columns: Sequence[str]) -> str:
    """COPY … FROM STDIN. Raises `BrokerError("argument")`."""
    names = f" ({', '.join(map(quoted, columns))})" if columns else ""
    return f"COPY {'.'.join(map(quoted, _parts(table)))}{names} FROM STDIN"


def _parts(table: str) -> list[str]:
    parts, at = list[str](), 0
    while match := _NAME.match(table, at):
        parts.append(match[1].replace('""', '"') if match[1] else match[2])
        at = match.end()
    if at != len(table) or not 0 < len(parts) <= 2:  # noqa: PLR2004 - a schema and a table
        raise BrokerError("argument", argument="table", why="it is TABLE or SCHEMA.TABLE")
    return parts


def lines(found: Sequence[Sequence[Scalar]]) -> bytes:
    """Rows, a line each."""
    return "".join("\t".join(map(_cell, row)) + "\n" for row in found).encode()


def _cell(cell: Scalar) -> str:
    if cell is None:
        return "\\N"
    if isinstance(cell, bool):
        return "t" if cell else "f"
    return (cell if isinstance(cell, str) else repr(cell)).translate(_ESCAPES)
