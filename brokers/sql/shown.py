"""A statement as a card shows it: what the server will do, and nothing that only looks like it. Pure.

Rules of this file
- Comments are left out. What stands in one is not performed, and a text in it could be taken for a condition.
- A string's line ends, tabs and runs of blanks are shown by their signs, so that a line on the card is a line of SQL
  and a value is seen as it is.
- A line that is too long for a row goes on in rows with another label: its end is not taken for a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.sql.tokens import pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.arguments import Scalar

_TITLE = 200  # characters of the statement in a card's first line
# A card has 32 lines of 300 characters; what is beyond is cut out of its middle, so nothing here may come near.
_ROW, _ROWS = 250, 20  # characters of a row, and such rows
_VALUES, _VALUE = 6, 120  # rows of parameters, and characters of one
_COMMENTS = frozenset({"--", "/*"})
# A vertical tab, a form feed and what Unicode calls the end of a line or a paragraph end no line of SQL.
_SIGNS = {"\n": "␊", "\r": "␍", "\t": "␉", "\x0b": "␋", "\x0c": "␌", "\x85": "␤", "\u2028": "␤", "\u2029": "␤"}
_SIGN = re.compile("[" + "".join(_SIGNS) + "]|  +")

Row = tuple[str, str]


def plain(sql: str, dialect: str) -> str:
    """`sql` without its comments, the white space within its strings and quoted names made visible."""
    found: list[str] = []
    for kind, text in pieces(sql, dialect):
        if kind == "space":
            found.append(" " if text[:1] == "#" or text[:2] in _COMMENTS else text.replace("\r", "\n"))
        elif kind == "nested":
            found.append(" ")
        else:
            found.append(_SIGN.sub(_sign, text))
    return "".join(found)


def title(text: str) -> str:
    """A `plain` statement in one line, the middle of a long one left out."""
    line = " ".join(text.split())
    half = _TITLE // 2
    return line if len(line) <= _TITLE else f"{line[:half]} … {line[-half:]}"


def rows(text: str) -> list[Row]:
    """The rows of a `plain` statement, whole where a card has room for it; where it has not, the first row says so."""
    found = [row for line in text.split("\n") if line.strip() for row in _line(line.rstrip())]
    if len(found) <= _ROWS:
        return found
    half = _ROWS // 2
    hidden = sum(len(row) for _, row in found[half:-half])
    caution = f"{hidden:,} characters of the statement are not shown here: say no, and ask for a file of it"
    return [("caution", caution), *found[:half], ("sql", f"… {hidden:,} characters are not shown …"), *found[-half:]]


def _line(line: str) -> Sequence[Row]:
    return [("sql …" if at else "sql", line[at : at + _ROW]) for at in range(0, len(line), _ROW)]


def _sign(found: re.Match[str]) -> str:
    text = found.group()
    return _SIGNS.get(text) or "␠" * len(text)


def values(params: Sequence[Scalar]) -> list[Row]:
    """The parameters by their numbers, several to a row; where they have no room, a caution is the first row.

    The middle of a long one is left out, and how much it was is said.
    """
    found: list[str] = []
    line = ""
    for number, value in enumerate(params, 1):
        text = f"${number} = {_value(value)}"
        if line and len(line) + len(text) > _ROW:
            found.append(line)
            line = ""
        line = f"{line}, {text}" if line else text
    found += [line] if line else []
    rows_ = [("values", row) for row in found[:_VALUES]]
    if len(found) <= _VALUES:
        return rows_
    hidden = sum(row.count("$") for row in found[_VALUES:])
    caution = f"about {hidden:,} parameters are not shown here: say no, and ask for a file of them (--load)"
    return [("caution", caution), *rows_]


def _value(value: Scalar) -> str:
    if not isinstance(value, str):
        return "NULL" if value is None else str(value)
    text = _SIGN.sub(_sign, repr(value))  # what it is written with counts: a hidden character takes ten
    if len(text) <= _VALUE:
        return text
    half = _VALUE // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters are not shown … {text[-half:]}"
