"""What sqlglot makes of a statement: which tables it touches, which parts of it write. Pure.

Rules of this file
- The parser is given our tokens, in plain words (`plain`), not the agent's text: it cannot see another statement than
  `tokens` saw.
- What it does not understand is None, and nobody takes that for a read.
- The walk over the tree does not recurse; the parser does, and gets no more tokens than it can take.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import logger as parser_logger

from brokers.sql.brackets import name_before
from brokers.sql.conditions import unbounded
from brokers.sql.plain import render
from brokers.sql.tokens import lower, spelled, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from brokers.sql.tokens import Token

MAX_TOKENS = 5000  # 0.2 s of parsing at worst; a longer text is a data load, which has a way of its own
STEPS = 10  # of the parser for each token, and a thousand besides: what people write takes three
MAX_CHAIN = 20  # brackets, CASEs, signs and NOTs in one another: each takes up to forty frames of a stack of a thousand
MAX_SETS = 100  # UNIONs and their like in one statement, for the same reason

parser_logger.disabled = True  # it would print the statement

_SETS = frozenset({"UNION", "EXCEPT", "INTERSECT"})
_PREFIXES = frozenset({"NOT", "BINARY", "PRIOR", "INTERVAL", "EXPLAIN", "DISTINCT", "ALL"})
_WRITING = {
    exp.Insert: "INSERT",
    exp.Update: "UPDATE",
    exp.Delete: "DELETE",
    exp.Merge: "MERGE",
    exp.Into: "INTO",
}
# A parser that falls back to one of these has not understood the statement.
_OPAQUE = (exp.Command, exp.Set, exp.Pragma, exp.Copy, exp.Use, exp.Transaction, exp.Commit, exp.Rollback, exp.Kill)
_STATEMENTS = (exp.Query, exp.Values, exp.Insert, exp.Update, exp.Delete, exp.Merge)


# Words that PostgreSQL takes for a call without brackets where a table may stand: its row is a plain value.
_VALUES = words(
    """
    CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER LOCALTIME
    LOCALTIMESTAMP SESSION_USER SYSTEM_USER USER
    """
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tree says.

    `writes` are the parts that are no query ("INSERT", "UPDATE", "DELETE", "MERGE", "INTO"); `every` are those of them
    that have no condition on a row (`conditions`). `renamed` counts the names that a list of columns follows: they look
    like calls and are none. `reached` are names behind a dot that may be calls: `x.f` is `f(x)` in PostgreSQL.
    """

    tables: tuple[str, ...]
    writes: frozenset[str]
    every: frozenset[str]
    renamed: Counter[str]
    reached: tuple[str, ...]


def read(items: Sequence[Token], dialect: str) -> Facts | None:
    """The facts of one statement, or None where sqlglot does not understand it."""
    if len(items) > MAX_TOKENS or _chain(items) > MAX_CHAIN or sum(one.word in _SETS for one in items) > MAX_SETS:
        return None
    grammar = Dialect.get_or_raise(dialect)
    text = render(items, dialect, _type_words(dialect))
    try:
        parsed = grammar.tokenize(text)
        parser = _bounded(dialect)(dialect=grammar, error_level=ErrorLevel.IMMEDIATE)
        parser.steps = 1000 + STEPS * len(items)
        found = parser.parse(parsed, text)
    # What a parser of this size raises besides its own errors on a mutilated text cannot be listed; all of it
    # means the same here.
    except (
        SqlglotError,
        _OutOfStepsError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        RecursionError,
        AssertionError,
    ):
        return None
    root = found[0] if len(found) == 1 else None
    if root is None or not isinstance(root, _STATEMENTS):
        return None
    return _facts(root, dialect, _called(items, dialect))


class _OutOfStepsError(Exception):
    """The parser goes back and forth too often."""


@cache
def _bounded(dialect: str) -> type[Any]:
    """The dialect's parser with a bound on its steps.

    It tries one reading after another, and brackets in brackets can double the readings at each level.
    """
    base: type[Any] = Dialect.get_or_raise(dialect).parser_class

    class Bounded(base):  # type: ignore[misc]  # which class it is, is known when it runs
        steps = 0

        def _advance(self, times: int = 1) -> None:
            self.steps -= 1
            if self.steps < 0:
                raise _OutOfStepsError
            super()._advance(times)

    return Bounded


@cache
def _type_words(dialect: str) -> frozenset[str]:
    """Words that the parser tries as a type first when a bracket follows."""
    grammar = Dialect.get_or_raise(dialect)
    keywords = grammar.tokenizer_class.KEYWORDS
    return frozenset(word for word, kind in keywords.items() if kind in grammar.parser_class.TYPE_TOKENS)


def _called(items: Sequence[Token], dialect: str) -> set[str]:
    """The names of what may be functions whose rows have no other name."""
    found: set[str] = set()
    for at, token in enumerate(items):
        parts = name_before(items, at, dialect) if token.word == "(" and at else ()
        if parts and items[max(at - 2 * len(parts), 0)].word != "INTO":
            found.add(parts[-1])
    return found


def _is_value(table: exp.Table, dialect: str) -> bool:
    plain = dialect == "postgres" and not table.args.get("db") and not table.this.args.get("quoted")
    return plain and table.this.name.upper() in _VALUES


def _facts(root: exp.Expr, dialect: str, called: set[str]) -> Facts | None:  # noqa: C901, PLR0912 - one branch a kind of node
    tables: set[str] = set()
    writes: set[str] = set()
    renamed: Counter[str] = Counter()
    rows = {"excluded", "old", "new"}  # of ON CONFLICT and RETURNING
    columns: dict[str, set[str]] = {}
    dotted: list[tuple[str, str]] = []
    every: set[str] = set()
    for node in root.walk():
        if isinstance(node, _OPAQUE):
            return None
        for kind, word in _WRITING.items():
            if isinstance(node, kind):
                writes.add(word)
        if (
            isinstance(node, exp.Update | exp.Delete)
            and not isinstance(node.parent, exp.When)
            and unbounded(node, dialect)
        ):
            every.add(_WRITING[type(node)])
        if isinstance(node, exp.TableAlias) and node.args.get("columns"):
            renamed[_folded(node.this, dialect)] += 1
            columns.setdefault(_folded(node.this, dialect), set()).update(_columns(node, dialect))
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            name = _folded(node.args["alias"].this if node.alias else node.this, dialect)
            if _is_value(node, dialect):
                columns.setdefault(name, set())
            rows.add(name)
            if not _is_cte(node, dialect):
                tables.add(_table(node, dialect))
        elif isinstance(node, exp.Subquery | exp.CTE | exp.Values) or _of_query(node):
            if node.alias:
                rows.add(_folded(node.args["alias"].this, dialect))
        elif isinstance(node, exp.Table | exp.Lateral | exp.Unnest) and node.alias:
            offset = node.args.get("offset")
            columns.setdefault(_folded(node.args["alias"].this, dialect), set()).add(_folded(offset, dialect))
        elif isinstance(node, exp.Column) and node.args.get("table") and not isinstance(node.parent, exp.Collate):
            dotted.append((_folded(node.args["table"], dialect), _folded(node.this, dialect)))
        elif isinstance(node, exp.Table | exp.Lateral | exp.Unnest):
            columns |= {name: columns.get(name, set()) for name in called}
    reached = [name for of, name in dotted if of in columns or of not in rows if name not in columns.get(of, ())]
    return Facts(tuple(sorted(tables)), frozenset(writes), frozenset(every), renamed, tuple(reached))


def _of_query(node: exp.Expr) -> bool:
    """`LATERAL (SELECT …)`: its rows are a query's, not a function's."""
    return isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery)


def _columns(alias: exp.TableAlias, dialect: str) -> Iterator[str]:
    for column in alias.args["columns"]:
        this = column.this if isinstance(column, exp.ColumnDef) else column
        if isinstance(this, exp.Identifier):
            yield _folded(this, dialect)


def _folded(name: object, dialect: str) -> str:
    """A name as the engine compares it."""
    if not isinstance(name, exp.Identifier):
        return ""
    text = str(name.this)
    return text if name.args.get("quoted") and dialect == "postgres" else lower(text)


def _is_cte(table: exp.Table, dialect: str) -> bool:
    """Whether a name is that of a common table expression in reach.

    That is an earlier one of an enclosing WITH, or, of a recursive one, itself. A later one of a table's name does not
    hide the table.
    """
    if table.args.get("db"):
        return False
    wanted = _folded(table.this, dialect)
    inside: exp.Expr | None = None
    node: exp.Expr | None = table
    while node is not None:
        if isinstance(node, exp.CTE):
            inside = node
        within = node.args.get("with_")
        if isinstance(within, exp.With):
            for cte in within.expressions:
                own = cte is inside
                if own and not within.args.get("recursive"):
                    break
                if _folded(cte.args["alias"].this, dialect) == wanted:
                    return True
                if own:
                    break
        node = node.parent
    return False


def _table(table: exp.Table, dialect: str) -> str:
    parts = [table.args.get(part) for part in ("catalog", "db", "this")]
    return ".".join(spelled(_folded(part, dialect)) for part in parts if isinstance(part, exp.Identifier))


def _chain(items: Sequence[Token]) -> int:
    """How deep the parser has to go: what opens a level, with a bracket or without."""
    longest = run = deepest = depth = subscripts = 0
    before = ""
    for token in items:
        word = token.word
        subscripts = subscripts + 1 if (before, word) == ("]", "[") else subscripts
        before = word
        if word in {"(", "[", "{", "CASE"}:
            depth += 1
            deepest = max(deepest, depth)
        elif word in {")", "]", "}", "END"}:
            depth -= 1
        run = run + 1 if token.kind == "operator" or word in _PREFIXES else 0
        longest = max(longest, run)
    return max(longest, deepest, subscripts)
