"""Where a statement of PostgreSQL names types and operators, which may be anybody's code. Pure.

Rules of this file
- A type that is not built in may be a domain, whose check calls anything; an operator is a function by another name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.sql.brackets import SYNTAX, TRAILING, name_before
from brokers.sql.tokens import folded, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.sql.tokens import Token

BUILT_IN = "pg_catalog"
# Words of PostgreSQL's grammar that a string may follow; another word before a string is the name of a type.
_BEFORE_TEXT = words(
    """
    ALL AND ANY AS ASYMMETRIC BETWEEN BOTH BY CASE COLLATE DEFAULT DISTINCT ELSE END ESCAPE EXCEPT FETCH FOR
    FROM HAVING ILIKE IN INTERSECT IS LEADING LIKE LIMIT NOT OFFSET ON OR PASSING PATH PLACING PRECEDING
    RETURNING SELECT SET SIMILAR SOME SYMMETRIC THEN TO TRAILING UESCAPE UNION USING VALUES VARIADIC WHEN
    WHERE ZONE LOCATION CONTENT DOCUMENT VERSION DAY HOUR MINUTE SECOND MONTH YEAR WITHIN KEY VALUE PRECISION
    """
)
# What a bracket behind AS holds instead of columns, where its first word may be a column's name as well.
_STATEMENT = {"INSERT": "INTO", "MERGE": "INTO", "DELETE": "FROM", "UPDATE": "SET", "VALUES": "("}
# Those of a fresh PostgreSQL 15, and `=>` of its grammar.
OPERATORS = words(
    """
    !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <>
    <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~
    ~~ ~~* =>
    """
)
# Names of types that only the grammar knows, as bare words: in quotes each is a type of somebody's own.
GRAMMARS = words("bigint boolean character dec decimal double float int integer national nchar real smallint")
_CASTING = frozenset({"CAST", "XMLSERIALIZE", "TREAT"})
_NO_NAMES = SYNTAX | TRAILING
_NOT_ENDING = re.compile(r"(?<=.)[-+]+$")


def named(items: Sequence[Token], pairs: Mapping[int, int]) -> Iterator[str]:
    """The types that a statement names, wherever it can: in casts, before a text, of columns that it declares."""
    casts = _casts(items, pairs)
    yield from _declared(items, pairs)
    for at, token in enumerate(items):
        if token.word == "::" or at in casts:
            yield _type_after(items, at + 1)
        elif token.kind in {"string", "escaped"} and at and (name := _typed(items, at)):
            yield name


def operators(items: Sequence[Token]) -> Iterator[str]:
    """Its operators, by the names under which the server looks for them."""
    for token in items:
        if token.kind == "operator":
            yield from _operators(token.text)


def _operators(text: str) -> Iterator[str]:
    """The operators that PostgreSQL reads of a run of their characters.

    A `+` or `-` at its end is one of its own unless a character that no sign of arithmetic has is in it
    (PostgreSQL 15 documentation, section 4.1.3): of a number it is the sign, of anything else an operator before it.
    """
    first = text if any(character in "~!@#%^&|`?" for character in text) else _NOT_ENDING.sub("", text)
    yield "<>" if first == "!=" else first
    yield from text[len(first) :]


def _type_after(items: Sequence[Token], at: int) -> str:
    """The name of the type that begins at `at`, the built-in schema left out."""
    parts: list[str] = []
    while at < len(items) and items[at].kind in {"word", "quoted"}:
        parts.append(_part(items[at]))
        if at + 1 >= len(items) or items[at + 1].word != ".":
            break
        at += 2
    return _name(parts)


def _part(token: Token) -> str:
    """A part of a name; one that only the grammar would know keeps its quotes, so that it is on no list."""
    name = folded(token, "postgres")
    return f'"{name}"' if token.kind == "quoted" and name in GRAMMARS else name


def _name(parts: Sequence[str]) -> str:
    return ".".join(parts[1:] if len(parts) > 1 and parts[0] == BUILT_IN else parts)


def _declared(items: Sequence[Token], pairs: Mapping[int, int]) -> Iterator[str]:
    """The types of columns that a query declares: `f(x) AS name (a int, b text)`, and of `RETURNING type` in JSON's."""
    opened: list[int] = []
    columns: set[int] = set()  # brackets that hold declared columns
    for at, token in enumerate(items):
        if token.word == "(":
            opened.append(at)
            if _declares(items, at, pairs):
                columns.add(at)
        elif token.word == ")" and opened:
            opened.pop()
        elif opened and opened[-1] in columns and token.word != "," and items[at - 1].word in {"(", ","}:
            if items[at + 1].word not in {",", ")"}:
                yield _type_after(items, at + 1)
        elif token.word == "RETURNING" and opened and opened[-1] and items[opened[-1] - 1].word not in {"AS", "("}:
            yield _type_after(items, at + 1)


def _declares(items: Sequence[Token], at: int, pairs: Mapping[int, int]) -> bool:
    """Whether the bracket at `at` may hold columns with their types: behind a function's, with AS or a name between."""
    if at not in pairs or at < 2 or items[at + 1].kind not in {"word", "quoted"}:  # noqa: PLR2004 - a bracket and a word
        return False
    before, first = items[at - 1], items[at + 1].word
    if before.word != "AS":
        return before.kind in {"word", "quoted"} and before.word not in _NO_NAMES and _behind_call(items, at)
    if first in _STATEMENT:  # `WITH x (a) AS (INSERT INTO …`, or a column of that name
        return _STATEMENT[first] not in {one.word for one in items[at + 2 : pairs.get(at, at)]}
    return items[at - 2].word == ")" and first not in {"SELECT", "WITH", "TABLE"}


def _behind_call(items: Sequence[Token], at: int) -> bool:
    """`f(x) name (`, or `f(x) AS name (`."""
    return items[at - 2].word == ")" or (items[at - 2].word == "AS" and items[at - 3].word == ")")


def _casts(items: Sequence[Token], pairs: Mapping[int, int]) -> frozenset[int]:
    """Where the AS of each CAST ( … AS type ) stands."""
    found: set[int] = set()
    opened: list[int] = []
    for at, token in enumerate(items):
        if token.word == "(":
            opened.append(at)
        elif token.word == ")" and at in pairs:
            opened.pop()
        elif token.word == "AS" and opened and opened[-1] and items[opened[-1] - 1].word in _CASTING:
            found.add(at)
    return frozenset(found)


def _typed(items: Sequence[Token], at: int) -> str:
    """The type of `name 'text'`; empty where no name is before, or a word of the grammar's."""
    before = items[at - 1]
    if before.word in _BEFORE_TEXT or before.kind not in {"word", "quoted"}:
        return ""
    return _name((*name_before(items, at, "postgres")[:-1], _part(before)))
