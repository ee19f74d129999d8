"""Names by which a statement may reach code of the database's own, though each of them is on a list. Pure.

Rules of this file
- A list says what a name means in a fresh server. A database may give the same name to functions of its own, for other
  arguments, and an older server lacks names that a newer one has: only the database can tell, and is asked (`own`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from brokers.sql.brackets import name_before
from brokers.sql.tokens import folded
from brokers.sql.typenames import operators as operators_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """`functions` are before a bracket, `attributes` behind a dot (`x.f` may be `f(x)`), `operators` as they are."""

    functions: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.functions or self.attributes or self.operators)


def reach(items: Sequence[Token], dialect: str, allowed: frozenset[str]) -> Reach:
    """The names that may mean something of the database's own; those in its engine's built-in schema cannot."""
    functions: set[str] = set()
    attributes: set[str] = set()
    for at, token in enumerate(items):
        if token.word == "(":
            functions.update(name_before(items, at, dialect)[-1:] if at else ())
        elif token.kind in {"word", "quoted"} and at and items[at - 1].word == ".":
            attributes.add(folded(token, dialect))
    if dialect != "postgres":
        return Reach(tuple(sorted(functions - allowed)))
    operators = {*operators_of(items)}
    for token in items:
        operators.update(_UNSAID.get(token.word, ()))
    named = functions, attributes, operators
    return Reach(*(tuple(sorted(names - allowed)) for names in named))
