"""What stands before a bracket, and which brackets belong together. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokers.sql.tokens import folded, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.tokens import Token

# Words before a bracket that are no names there.
SYNTAX = words(
    """
    ALL ANALYZE AND ANY ARRAY AS BETWEEN BY CASE COLUMNS CONFLICT CROSS CUBE DISTINCT ELSE EXCEPT EXISTS
    EXPLAIN FROM FORCE HAVING IGNORE ILIKE IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LATERAL LIKE LIMIT
    MATERIALIZED MINUS NOT OF OFFSET ON OR OUTER OVERLAPS PARTITION REGEXP RETURNING RLIKE ROLLUP ROW ROWS
    SELECT SET SETS SIMILAR SOME STRAIGHT_JOIN THEN TO UNION UNIQUE USING VALUES WHEN WHERE WITH AGAINST DIV
    XOR ESCAPE GLOB FETCH FIRST NEXT ONLY PRECEDING SYMMETRIC FOR DECIMAL DEC FLOAT CHARACTER VARYING BIT
    TIMESTAMP VARCHAR NVARCHAR NUMERIC REPEATABLE BINARY VARBINARY INT INTEGER BIGINT SMALLINT DOUBLE INTERVAL
    """
) - {"LIKE", "GLOB"}
TRAILING = frozenset({"OVER", "FILTER", "GROUP"})  # clauses behind a function's bracket; elsewhere names like others


def name_before(items: Sequence[Token], at: int, dialect: str) -> tuple[str, ...]:
    """The dotted name that ends before `at`, folded as the engine does; () where none does."""
    parts: list[str] = []
    at -= 1
    while at >= 0:
        token = items[at]
        if token.kind in {"word", "quoted"}:
            parts.append(folded(token, dialect))
        elif token.kind in {"string", "escaped"} and not parts:
            return (token.text,)  # "f"(x) is a function where a server runs with ANSI_QUOTES
        else:
            break
        if at < 2 or items[at - 1].word != ".":  # noqa: PLR2004 - a dot and what is before it
            break
        at -= 2
    return tuple(reversed(parts))


def pairs_of(items: Sequence[Token]) -> dict[int, int]:
    """Where each round bracket is closed, and where each closing one was opened."""
    stack: list[int] = []
    found: dict[int, int] = {}
    for at, token in enumerate(items):
        if token.word == "(":
            stack.append(at)
        elif token.word == ")" and stack:
            found[at] = stack.pop()
            found[found[at]] = at
    return found


def enclosing(items: Sequence[Token]) -> dict[int, int]:
    """Of each opening round bracket that lies within another, where that one was opened."""
    stack: list[int] = []
    found: dict[int, int] = {}
    for at, token in enumerate(items):
        if token.word == "(":
            if stack:
                found[at] = stack[-1]
            stack.append(at)
        elif token.word == ")" and stack:
            stack.pop()
    return found
