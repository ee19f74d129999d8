"""Names by which a statement may reach code of the database's own, though each of them is on a list. Pure.

Rules of this file
- A list says what a name means in a fresh server. A database may give the same name to functions of its own, for other
  arguments, or to a type, and an older server lacks names that a newer one has: only the database can tell, and is
  asked (`own`).
- Not about what every server of MySQL and MariaDB takes for its own first (`functions/mysql-everywhere.txt`): a read
  that calls nothing else costs no question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.sql import typenames
from brokers.sql.brackets import name_before, pairs_of
from brokers.sql.invoked import known
from brokers.sql.tokens import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokers.sql.tokens import Token


# Words of PostgreSQL's grammar that stand for operators, whoever made these; `::` stands for any cast.
_UNSAID = {
    **dict.fromkeys(("IN", "CASE", "DISTINCT", "NULLIF", "USING", "NATURAL"), ("=", "<>")),
    "BETWEEN": ("<", "<=", ">", ">="),
    "LIKE": ("~~", "!~~"),
    "ILIKE": ("~~*", "!~~*"),
    "SIMILAR": ("~", "!~"),
    "::": ("::",),
}


@dataclass(frozen=True, slots=True)
class Reach:
    """Kind by kind.

    `functions` are before a bracket, or behind a dot of what may be any value; `attributes` are behind that of a row
    (`x.f` may be `f(x)`); `operators` are as they are; `types` are those that a cast or a column names.
    """

    functions: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.functions or self.attributes or self.operators or self.types)


def reach(items: Sequence[Token], dialect: str, allowed: frozenset[str], called: Iterable[str]) -> Reach:
    """The names that may mean something of the database's own; those in its engine's built-in schema cannot.

    `called` are those behind a dot that the tree says belong to no table.
    """
    functions = set(called)
    attributes: set[str] = set()
    value = -1
    for at, token in enumerate(items):
        if token.word == "(":
            functions.update(_called(items, at, dialect) if at else ())
        elif token.kind in {"word", "quoted"} and at and items[at - 1].word == ".":
            before = items[at - 2]  # `(x).f`, `x[1].f`, `$1.f` and `(x).a.f`: what is before the dot may be of any type
            if before.word in {")", "]"} or before.kind == "param" or value == at - 2:
                value = at
            (functions if value == at else attributes).add(folded(token, dialect))
    if dialect != "postgres":
        return Reach(tuple(sorted(functions - allowed)))
    operators = {*typenames.operators(items)}
    for token in items:
        operators.update(_UNSAID.get(token.word, ()))
    types = {*typenames.named(items, pairs_of(items))} - typenames.GRAMMARS
    named = functions, attributes, operators, types
    return Reach(*(tuple(sorted(names - allowed)) for names in named))


def _called(items: Sequence[Token], at: int, dialect: str) -> tuple[str, ...]:
    """The name before the bracket at `at`, where it may be one of the database's own."""
    name = name_before(items, at, dialect)
    alone = dialect == "mysql" and len(name) == 1 and items[at - 1].kind == "word"
    return () if alone and name[0] in known("mysql-everywhere") else name[-1:]
