"""Parameters written into a statement as literals that no setting of a server reads in another way. Pure.

Rules of this file
- Where a parameter stands is found by the lexer that judged the statement: never in a string, a comment or a name.
- Text is written in hexadecimal: there is nothing in it to escape, whatever `sql_mode` says of backslashes and quotes.
- All else of the statement is sent as it was judged, character by character.

Why not the server's own placeholders: PyMySQL has no binary protocol, and PREPARE takes neither every statement nor
anything but user variables, which would outlive the call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql.tokens import LEXERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.arguments import Scalar

_PYTHON = "%s"  # as drivers for Python write it; a server reads a remainder and a name


def literal(value: Scalar) -> str:
    """`value` in SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return f"_utf8mb4 X'{value.encode().hex()}'"
    return f"({value!r})" if value < 0 else repr(value)  # brackets: `1-?` must not become a comment's beginning


def column(text: str) -> str:
    """A name in quotes."""
    return "`" + text.replace("`", "``") + "`"


def name(text: str) -> str:
    """A table's name, or `schema.table`, in quotes."""
    return ".".join(map(column, text.split(".", 1)))


def placed(sql: str, params: Sequence[Scalar]) -> str:
    """The statement with its parameters in it. Raises `BrokerError("argument")` where their number does not fit."""
    found = _places(sql)
    marks = [place for place in found if sql[place[0] : place[1]] != _PYTHON]
    if not params and not marks:
        return sql
    if marks and len(marks) != len(found):
        raise BrokerError("argument", argument="params", why="write every placeholder as ?")
    if len(found) != len(params):
        raise BrokerError("argument", argument="params", why="one value for each ? of the statement")
    parts, at = [], 0
    for (start, end), value in zip(found, params, strict=True):
        parts += [sql[at:start], _before(sql[start - 1 : start]), literal(value), " "]
        at = end
    return "".join([*parts, sql[at:]])


def _before(character: str) -> str:
    """What parts a literal from what stands before it. Not a sign: `--?` is no comment, and `-- 5` would be."""
    if character == "@":
        raise BrokerError("argument", argument="sql", why="a parameter is a value, and cannot name a variable")
    return " " if character.isalnum() or character in {"_", "$", "'", '"', "`"} else ""


def _places(sql: str) -> list[tuple[int, int]]:
    lexer, at, found = LEXERS["mysql"], 0, []
    while at < len(sql):
        match = lexer.match(sql, at)
        if match is None or match.end() == at:
            raise BrokerError("argument", argument="sql", why="it cannot be read as SQL")
        if match.lastgroup == "param":
            found.append(match.span())
        at = match.end()
    return found
