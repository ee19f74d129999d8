"""Which functions and types a statement uses that are not known to be harmless: read off its tokens. Pure.

Rules of this file
- A name before an opening bracket is a function's unless the grammar gives the bracket another meaning; where that is
  in doubt it is one.
- An allow-list, never a deny list: what an engine can do besides reading tables grows with every version and extension.
- A name keeps its engine's case: in PostgreSQL "LOWER" is another function than lower. A schema other than the
  built-in one is somebody's own code.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from brokers.sql import typenames
from brokers.sql.brackets import SYNTAX, TRAILING, enclosing, name_before, pairs_of
from brokers.sql.tokens import folded, lower, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.sql.tokens import Token

# Columns of what built-in functions return, so that `(jsonb_each(x)).key` is none of somebody's functions.
_COLUMNS = words(
    """
    alias description dictionaries dictionary grantee grantor is_grantable key lexeme lexemes n ordinality
    positions privilege_type token tokid value weights x
    """
)
_QUERY = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "("})


# Of definitions: words before a bracket that are no names there, words before a name that is none of a function, and
# words that an expression follows.
_DEFINING = words(
    """
    CHECK DEFAULT ALWAYS INCLUDE RANGE LIST HASH COLUMNS IDENTITY OPTIONS THAN ENUM SET MODULUS INHERITS STORED
    VIRTUAL LINEAR SUBPARTITIONS STATISTICS EXPRESSION USING WITHOUT VALUES REFERENCES DEFERRABLE UNIQUE TYPE
    """
)
_BEFORE_DEFINED = words("TABLE EXISTS ON REFERENCES INTO ONLY USING INDEX KEY UNIQUE VIEW LIKE INHERITS OF COLUMN TO")
_EXPRESSES = words("DEFAULT AS USING CHECK AND OR NOT THEN ELSE WHEN IN BETWEEN BY WHERE IS LIKE RETURN CASE ON")


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
    listed, pairs = known(dialect) | allowed, pairs_of(items)
    for at, parts in _bracketed(items, dialect, pairs):
        if _is_alias(items, at, pairs) and left.get(parts[-1], 0) > 0:
            left[parts[-1]] -= 1
        elif not _is_known(parts, listed, allowed, dialect):
            found.add(".".join(parts))
    return _sorted(found, items, dialect, allowed, pairs)


def in_definition(items: Sequence[Token], dialect: str, allowed: frozenset[str]) -> tuple[str, ...]:
    """The same of a CREATE or ALTER: of defaults, checks, indexes and conversions, which run at once or at any write.

    What names a table, an index or a type there is none of them.
    """
    found: set[str] = set()
    listed, pairs, around = known(dialect) | allowed, pairs_of(items), enclosing(items)
    types = known("postgres-types") if dialect == "postgres" else frozenset()
    for at, parts in _bracketed(items, dialect, pairs):
        before = items[at - 2 * len(parts)] if at >= 2 * len(parts) else items[0]
        if items[at - 1].word in _DEFINING or before.word in _BEFORE_DEFINED or parts[-1] in types:
            continue
        if before.word in {"(", ","} and dialect == "mysql" and around.get(at):
            before = items[around[at] - 1]  # `ON orders (note(10))` indexes the first ten characters
        within = items[at + 1 : pairs.get(at, at)]
        if not _is_type(within, before) and not _is_known(parts, listed, allowed, dialect):
            found.add(".".join(parts))
    return _sorted(found, items, dialect, allowed, pairs)


def _bracketed(items: Sequence[Token], dialect: str, pairs: Mapping[int, int]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Where a bracket may be a function's, and the name before it."""
    for at in range(1, len(items)):
        parts = name_before(items, at, dialect) if items[at].word == "(" else ()
        if parts and not _is_syntax(items, at, dialect, parts, pairs):
            yield at, parts


def _sorted(
    found: set[str], items: Sequence[Token], dialect: str, allowed: frozenset[str], pairs: Mapping[int, int]
) -> tuple[str, ...]:
    """With what has no bracket."""
    return tuple(sorted(found.union(_postgres(items, allowed, pairs)) if dialect == "postgres" else found))


def _is_type(within: Sequence[Token], before: Token) -> bool:
    """`name varchar(20)`, `ALTER … TYPE money(2)`: numbers alone behind a name, where no expression begins."""
    numbers = all(token.kind == "number" or token.word == "," for token in within) and bool(within)
    return numbers and before.kind in {"word", "quoted"} and before.word not in _EXPRESSES


def attributes(names: Sequence[str], dialect: str, allowed: frozenset[str]) -> tuple[str, ...]:
    """Those of `names`, written behind a dot, that would be functions on no list."""
    if dialect != "postgres":
        return ()
    listed = known(dialect) | _COLUMNS | allowed
    return tuple(sorted({name for name in names if name not in listed}))


def _is_syntax(items: Sequence[Token], at: int, dialect: str, parts: tuple[str, ...], pairs: Mapping[int, int]) -> bool:
    """Whether the bracket at `at` belongs to the grammar and not to a function."""
    first = at - 2 * len(parts) + 1
    before = items[first - 1].word if first else ""
    if len(parts) > 1:
        return before == "INTO"
    word = items[at - 1].word
    if word in SYNTAX or (word == "OPERATOR" and dialect == "postgres"):
        return True
    if word in TRAILING:
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


def _is_known(parts: tuple[str, ...], listed: frozenset[str], allowed: frozenset[str], dialect: str) -> bool:
    name = parts[-1]
    if len(parts) == 1:
        return name in listed
    if name in allowed or ".".join(parts) in listed:
        return True
    return dialect == "postgres" and parts[:-1] == (typenames.BUILT_IN,) and name in listed


def _postgres(items: Sequence[Token], allowed: frozenset[str], pairs: Mapping[int, int]) -> Iterator[str]:
    """Calls that have no bracket: somebody's types and operators, operators of a schema, `(x).f` for `f(x)`."""
    types, known_operators = known("postgres-types") | allowed, typenames.OPERATORS | allowed
    columns = _COLUMNS | known("postgres") | allowed
    yield from (name for name in typenames.named(items, pairs) if name not in types)
    yield from (name for name in typenames.operators(items) if name not in known_operators)
    for at, token in enumerate(items):
        before = items[at - 1] if at else None
        if token.word == "OPERATOR" and at + 2 < len(items) and items[at + 1].word == "(":
            if lower(items[at + 2].text) != typenames.BUILT_IN:
                yield "operator"
        elif token.word == "." and before and (before.word in {")", "]"} or before.kind == "param"):
            after = items[at + 1] if at + 1 < len(items) else None
            if after and after.kind in {"word", "quoted"} and folded(after, "postgres") not in columns:
                yield folded(after, "postgres")
