"""Which functions and types a statement uses that are not known to be harmless: read off its tokens. Pure.

Rules of this file
- A name before an opening bracket is a call unless the grammar gives the bracket another meaning there; where that is
  in doubt it is a call.
- An allow-list, never a deny list: what an engine can do besides reading tables grows with every version and extension.
- A name keeps its engine's case: in PostgreSQL "LOWER" is another function than lower. A schema other than the
  built-in one is somebody's own code.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from brokers.sql.tokens import folded, lower, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.sql.tokens import Token

# Words before a bracket that are no names there.
_SYNTAX = words(
    """
    ALL ANALYZE AND ANY ARRAY AS BETWEEN BY CASE COLUMNS CONFLICT CROSS CUBE DISTINCT ELSE EXCEPT EXISTS
    EXPLAIN FROM FORCE HAVING IGNORE ILIKE IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY LATERAL LIKE LIMIT
    MATERIALIZED MINUS NOT OF OFFSET ON OR OUTER OVERLAPS PARTITION REGEXP RETURNING RLIKE ROLLUP ROW ROWS
    SELECT SET SETS SIMILAR SOME STRAIGHT_JOIN THEN TO UNION UNIQUE USING VALUES WHEN WHERE WITH AGAINST DIV
    XOR ESCAPE GLOB FETCH FIRST NEXT ONLY PRECEDING SYMMETRIC FOR DECIMAL DEC FLOAT CHARACTER VARYING BIT
    TIMESTAMP VARCHAR NVARCHAR NUMERIC REPEATABLE BINARY VARBINARY INT INTEGER BIGINT SMALLINT DOUBLE INTERVAL
    """
) - {"LIKE", "GLOB"}
_TRAILING = frozenset({"OVER", "FILTER", "GROUP"})  # clauses behind a call's own bracket; elsewhere names like others
# Columns of what built-in functions return, so that `(jsonb_each(x)).key` is none of somebody's functions.
_COLUMNS = words(
    """
    alias description dictionaries dictionary grantee grantor is_grantable key lexeme lexemes n ordinality
    positions privilege_type token tokid value weights x
    """
)
# Words of PostgreSQL's grammar that a string may follow; another word before a string is the name of a type.
_BEFORE_TEXT = words(
    """
    ALL AND ANY AS ASYMMETRIC BETWEEN BOTH BY CASE COLLATE DEFAULT DISTINCT ELSE END ESCAPE EXCEPT FETCH FOR
    FROM HAVING ILIKE IN INTERSECT IS LEADING LIKE LIMIT NOT OFFSET ON OR PASSING PATH PLACING PRECEDING
    RETURNING SELECT SET SIMILAR SOME SYMMETRIC THEN TO TRAILING UESCAPE UNION USING VALUES VARIADIC WHEN
    WHERE ZONE LOCATION CONTENT DOCUMENT VERSION DAY HOUR MINUTE SECOND MONTH YEAR WITHIN KEY VALUE PRECISION
    """
)
_QUERY = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})
_BUILT_IN = "pg_catalog"


@cache
def known(name: str) -> frozenset[str]:
    """The names of one list beside this file: one a line, `#` begins a comment."""
    text = files("brokers.sql").joinpath("functions", f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(word for line in text.splitlines() for word in line.partition("#")[0].split())


def unknown(
    items: Sequence[Token], dialect: str, allowed: frozenset[str], renamed: Mapping[str, int] | None
) -> tuple[str, ...]:
    """The functions, types and operators that are on no list, sorted.

    `renamed`: names that the tree says are aliases with a list of columns, and how often; None where there is no tree.
    """
    left = dict(renamed or {})
    found: set[str] = set()
    listed = known(dialect) | allowed
    pairs = _pairs(items)
    for at in range(1, len(items)):
        if items[at].word != "(":
            continue
        parts = name_before(items, at, dialect)
        if not parts or _is_syntax(items, at, dialect, parts, pairs):
            continue
        if _is_alias(items, at, pairs) and left.get(parts[-1], 0) > 0:
            left[parts[-1]] -= 1
            continue
        if not _is_known(parts, listed, allowed, dialect):
            found.add(".".join(parts))
    if dialect == "postgres":
        found.update(_postgres(items, listed, allowed, pairs))
    return tuple(sorted(found))


def attributes(names: Sequence[str], dialect: str, allowed: frozenset[str]) -> tuple[str, ...]:
    """Those of `names`, written behind a dot, that would be calls of functions on no list."""
    if dialect != "postgres":
        return ()
    listed = known(dialect) | _COLUMNS | allowed
    return tuple(sorted({name for name in names if name not in listed}))


def name_before(items: Sequence[Token], at: int, dialect: str) -> tuple[str, ...]:
    """The dotted name that ends before `at`, folded as the engine does; () where none does."""
    parts: list[str] = []
    at -= 1
    while at >= 0:
        token = items[at]
        if token.kind in {"word", "quoted"}:
            parts.append(folded(token, dialect))
        elif token.kind in {"string", "escaped"} and not parts:
            return (token.text,)  # "f"(x) is a call where a server runs with ANSI_QUOTES
        else:
            break
        if at < 2 or items[at - 1].word != ".":  # noqa: PLR2004 - a dot and what is before it
            break
        at -= 2
    return tuple(reversed(parts))


def _is_syntax(items: Sequence[Token], at: int, dialect: str, parts: tuple[str, ...], pairs: Mapping[int, int]) -> bool:
    """Whether the bracket at `at` belongs to the grammar and not to a call."""
    first = at - 2 * len(parts) + 1
    before = items[first - 1].word if first else ""
    if len(parts) > 1:
        return before == "INTO"
    word = items[at - 1].word
    if word in _SYNTAX or (word == "OPERATOR" and dialect == "postgres"):
        return True
    if word in _TRAILING:
        return before in {")", "WITHIN", "NULLS"}
    if before in {"AS", "INTO", "::"}:
        return True
    if before in {"INSERT", "REPLACE", "IGNORE"} and dialect == "mysql":
        return True
    return _is_cte(items, at, before, pairs)


def _is_cte(items: Sequence[Token], at: int, before: str, pairs: Mapping[int, int]) -> bool:
    """`WITH name (a, b) AS (SELECT …`: not so `FROM f(a) AS (select text)`, whose list declares columns."""
    if before not in {"WITH", "RECURSIVE", ","}:
        return False
    close = pairs.get(at, len(items))
    after = [token.word for token in items[close + 1 : close + 7]]
    after = [word for word in after if word not in {"NOT", "MATERIALIZED"}]
    names = all(token.word == "," or token.kind in {"word", "quoted"} for token in items[at + 1 : close])
    query = len(after) > 2 and after[:2] == ["AS", "("] and after[2] in _QUERY  # noqa: PLR2004 - AS ( SELECT
    return names and query and (before != "," or items[at - 3].word == ")")


def _is_alias(items: Sequence[Token], at: int, pairs: Mapping[int, int]) -> bool:
    """`FROM f(x) name (a, b)`: a bracket is closed before the name, and not that of `DISTINCT ON (…) name(…)`."""
    if at < 3 or items[at - 2].word != ")":  # noqa: PLR2004 - a bracket, a name, a bracket
        return False
    opening = pairs.get(at - 2, 0)
    return opening > 0 and items[opening - 1].word != "ON"


def _pairs(items: Sequence[Token]) -> dict[int, int]:
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


def _is_known(parts: tuple[str, ...], listed: frozenset[str], allowed: frozenset[str], dialect: str) -> bool:
    name = parts[-1]
    if len(parts) == 1:
        return name in listed
    if name in allowed or ".".join(parts) in listed:
        return True
    return dialect == "postgres" and parts[:-1] == (_BUILT_IN,) and name in listed


def _postgres(
    items: Sequence[Token], listed: frozenset[str], allowed: frozenset[str], pairs: Mapping[int, int]
) -> Iterator[str]:
    """Calls that have no bracket: casts to somebody's type, operators of a schema, `(x).f` for `f(x)`."""
    types = known("postgres-types") | allowed
    columns = _COLUMNS | listed
    casts = _casts(items, pairs)
    for at, token in enumerate(items):
        before = items[at - 1] if at else None
        if token.word == "OPERATOR" and at + 2 < len(items) and items[at + 1].word == "(":
            if lower(items[at + 2].text) != _BUILT_IN:
                yield "operator"
        elif token.word == "::" or at in casts:
            name = _type_after(items, at + 1)
            if name not in types:
                yield name
        elif token.kind in {"string", "escaped"} and before and before.kind in {"word", "quoted"}:
            name = _typed(items, at)
            if name and name not in types:
                yield name
        elif token.word == "." and before and (before.word in {")", "]"} or before.kind == "param"):
            after = items[at + 1] if at + 1 < len(items) else None
            if after and after.kind in {"word", "quoted"} and folded(after, "postgres") not in columns:
                yield folded(after, "postgres")


def _type_after(items: Sequence[Token], at: int) -> str:
    """The name of the type that begins at `at`, the built-in schema left out."""
    parts: list[str] = []
    while at < len(items) and items[at].kind in {"word", "quoted"}:
        parts.append(folded(items[at], "postgres"))
        if at + 1 >= len(items) or items[at + 1].word != ".":
            break
        at += 2
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == _BUILT_IN else parts)


def _casts(items: Sequence[Token], pairs: Mapping[int, int]) -> frozenset[int]:
    """Where the AS of each CAST ( … AS type ) stands."""
    found: set[int] = set()
    opened: list[int] = []
    for at, token in enumerate(items):
        if token.word == "(":
            opened.append(at)
        elif token.word == ")" and at in pairs:
            opened.pop()
        elif token.word == "AS" and opened and opened[-1] and items[opened[-1] - 1].word in {"CAST", "XMLSERIALIZE"}:
            found.add(at)
    return frozenset(found)


def _typed(items: Sequence[Token], at: int) -> str:
    """The type of `name 'text'`; empty where the word before is one of the grammar's."""
    before = items[at - 1]
    if before.word in _BEFORE_TEXT:
        return ""
    parts = name_before(items, at, "postgres")
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == _BUILT_IN else parts)
