"""Whether a change of rows has a condition that could leave one out. Pure.

Rules of this file
- No guard, but for mistakes and habits: what is always true in a way that the text shows (`1 = 1`, `id = id`,
  `id > 0 or id <= 0`, a subquery that looks at no row of the table) is no condition. That every id is above zero the
  text does not show; how many rows the planner expects stands on the card.
- NULL is passed over: `id = id` leaves out the rows where there is none, and is meant to leave out none.
- In doubt there is no condition: what looks at no row counts as true unless it is false, NULL or 0.
- The parser bounds how deep brackets go; a chain of ORs is walked and not descended into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from brokers.sql.tokens import lower

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SAME = (exp.EQ, exp.GTE, exp.LTE, exp.NullSafeEQ, exp.Like)  # true of a thing and itself
_OTHER = (exp.NEQ, exp.GT, exp.LT, exp.NullSafeNEQ)
_OPPOSITE: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.EQ: exp.NEQ,
    exp.GT: exp.LTE,
    exp.GTE: exp.LT,
    exp.NullSafeEQ: exp.NullSafeNEQ,
}


def unbounded(change: exp.Update | exp.Delete, dialect: str) -> bool:
    """Whether an UPDATE or DELETE has no condition on a row of its table, nor a DELETE another bound."""
    where = change.args.get("where")
    if isinstance(change, exp.Delete) and (change.args.get("limit") or change.find(exp.Join)):
        return False
    return where is None or _Condition(change, dialect).always(where.this)


class _Condition:
    """How a condition on the rows of one table is read."""

    def __init__(self, change: exp.Update | exp.Delete, dialect: str) -> None:
        self._dialect = dialect
        self._own = self._called(change.this)
        beside = [change.args.get("from_"), *(change.args.get("using") or ())]
        tables = [table for part in beside if part for table in part.find_all(exp.Table)]
        self._others = {self._called(table) for table in tables}

    def always(self, node: exp.Expr) -> bool:
        """Whether it is true of every row."""
        node = node.unnest()
        if isinstance(node, exp.Or):
            parts = [part.unnest() for part in node.flatten(unnest=False)]
            return any(map(self.always, parts)) or self._exhausts(parts)
        if isinstance(node, exp.And):
            return all(map(self.always, node.flatten(unnest=False)))
        if isinstance(node, exp.Not):
            return self._never(node.this)
        if not self._looks(node):
            return not self._never(node)
        return isinstance(node, _SAME) and self._key(node.this) == self._key(node.expression)

    def _never(self, node: exp.Expr) -> bool:
        node = node.unnest()
        if isinstance(node, exp.And):
            return any(map(self._never, node.flatten(unnest=False)))
        if isinstance(node, exp.Or):
            return all(map(self._never, node.flatten(unnest=False)))
        if isinstance(node, exp.Not):
            return self.always(node.this)
        if isinstance(node, exp.Boolean | exp.Literal | exp.Null):
            return node.this in {None, False, "0"}
        return isinstance(node, _OTHER) and self._key(node.this) == self._key(node.expression)

    def _exhausts(self, parts: Sequence[exp.Expr]) -> bool:
        """Whether one of `parts` says what another denies."""
        said = {self._key(part) for part in parts}
        return any(self._key(denied) in said for part in parts for denied in _denied(part))

    def _looks(self, node: exp.Expr) -> bool:
        """Whether it looks at a row of the table. In a query within it that is certain only with the table's name."""
        for column in node.find_all(exp.Column):
            of = self._name(column.args.get("table"))
            if (of and of == self._own) or (of not in self._others and not _within_query(column, node)):
                return True
        return False

    def _key(self, node: exp.Expr) -> exp.Expr:
        """Equal for what is the same: names as the engine compares them, without the table's own before a column."""
        copy = node.unnest().copy()
        for column in copy.find_all(exp.Column):
            if not self._others and self._name(column.args.get("table")) == self._own:
                column.set("table", None)
        for name in copy.find_all(exp.Identifier):
            name.set("this", self._name(name))
            name.set("quoted", value=True)
        return copy

    def _called(self, table: object) -> str:
        if not isinstance(table, exp.Table):
            return ""
        return self._name(table.args["alias"].this if table.args.get("alias") else table.this)

    def _name(self, name: object) -> str:
        if not isinstance(name, exp.Identifier):
            return ""
        text = str(name.this)
        return text if name.args.get("quoted") and self._dialect == "postgres" else lower(text)


def _denied(part: exp.Expr) -> Iterator[exp.Expr]:
    """What `part` denies, where it says so in other words than the part itself with NOT before it."""
    if isinstance(part, exp.Not):
        yield part.this
    elif isinstance(part, exp.Is):
        yield exp.Is(this=part.this.copy(), expression=part.expression.copy(), negate=not part.args.get("negate"))
    elif (opposite := _OPPOSITE.get(type(part))) is not None:
        yield opposite(this=part.this.copy(), expression=part.expression.copy())


def _within_query(column: exp.Expr, top: exp.Expr) -> bool:
    node = column.parent
    while node is not None and node is not top:
        if isinstance(node, exp.Query):
            return True
        node = node.parent
    return isinstance(node, exp.Query)
