"""What one SQL statement does to the world: its effect, its tables, and what in it is not known. Pure.

Rules of this file
- READ takes three agreeing witnesses: the words in their places (`verbs`), the names before brackets (`invoked`) and
  the tree (`tree`). One that does not know is enough for UNKNOWN, with the reason.
- Of several effects the most severe one counts.
- No guard: a statement judged a read is also performed as one. What this file adds is reach: a read-only transaction
  does not keep a function from files, programs, other sessions and sleep.
- A reason consists of this file's words and of names that are plain.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from brokers.contract import Effect
from brokers.sql import invoked, places, tree, verbs
from brokers.sql.reach import Reach, reach
from brokers.sql.tokens import tokens, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from brokers.sql.tokens import Token

_CACHED = 8192  # characters of a statement whose verdict is kept: 256 of them are 2 MiB
_READABLE = re.compile(r"[A-Za-z0-9_.$]{1,63}|[-+*/<>=~!@#%^&|`?]{1,63}")  # a name that a reason may show
_SHOWN = 3  # names in a reason

# Tables that are more than rows: passwords of roles and of other servers, files, and raw storage.
_GUARDED = {
    "postgres": words(
        """
    pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_foreign_server pg_subscription pg_largeobject
    pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_db_role_setting
    user_mapping_options _pg_user_mappings
    """
    ),
    "mysql": frozenset(),
    "sqlite": frozenset({"sqlite_dbpage", "sqlite_memstat", "sqlite_stmt", "fsdir", "zipfile"}),
}
_HARMLESS_SYSTEM = ("mysql.time_zone", "mysql.help_")  # all else in MySQL's own schema is accounts and servers
_CHANGED = {
    "INSERT": (Effect.WRITE, "it adds rows"),
    "UPDATE": (Effect.WRITE, "it changes rows"),
    "MERGE": (Effect.WRITE, "it adds or changes rows"),
    "DELETE": (Effect.DESTROY, "it deletes rows"),
    "REPLACE": (Effect.DESTROY, "it replaces rows, the old ones are deleted"),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """The verdict on one statement.

    `kind` is one word in capitals, for rules. `tables` are those it touches, "table" or "schema.table", sorted, without
    common table expressions. `unknown` are the functions and types that are on no list. `rows` says that it is a plain
    query, which a server-side cursor can run; `explainable`, that EXPLAIN before it calls nothing unknown.
    `reach` has the names that the database is asked about before it is performed as a read.
    """

    effect: Effect
    because: str
    kind: str
    tables: tuple[str, ...]
    unknown: tuple[str, ...]
    rows: bool
    explainable: bool
    reach: Reach = field(default_factory=Reach)


def classify(sql: str, dialect: str, allowed: frozenset[str] = frozenset()) -> Statement:
    """The verdict on `sql`; `dialect` is postgres, mysql or sqlite, `allowed` further functions, in lower case.

    Raises `BrokerError("argument")` for what is never sent.
    """
    judge = _remembered if len(sql) <= _CACHED else _classified
    return judge(sql, dialect, allowed)


def _classified(sql: str, dialect: str, allowed: frozenset[str]) -> Statement:
    read = tokens(sql, dialect)
    found = _judged(read.items, dialect, allowed)
    found = replace(found, reach=reach(read.items, dialect, allowed, found.reach.functions))
    if read.hint and found.effect is Effect.READ:
        return replace(found, effect=Effect.UNKNOWN, because="it holds a hint (/*+), which may change settings")
    return found


_remembered = lru_cache(maxsize=256)(_classified)


def _judged(items: Sequence[Token], dialect: str, allowed: frozenset[str]) -> Statement:
    verbs.check(items, dialect)
    word = next((token.word for token in items if token.word != "("), "")
    if items[0].word in places.EXPLAINS or (dialect == "mysql" and places.analyzes(items)):
        return _explained(items, dialect, allowed)
    if word in places.QUERIES or word in places.CHANGES:
        return _of_rows(items, dialect, allowed)
    verdict = verbs.administers(items, dialect)
    if verdict is None:
        kind = word if word.isalpha() else "UNKNOWN"
        return _not_known("kv does not know this kind of statement", kind)
    return _administers(items, verdict, dialect, allowed)


def _not_known(because: str, kind: str) -> Statement:
    return Statement(
        effect=Effect.UNKNOWN, because=because, kind=kind, tables=(), unknown=(), rows=False, explainable=False
    )


def _administers(items: Sequence[Token], verdict: verbs.Verdict, dialect: str, allowed: frozenset[str]) -> Statement:
    """A definition, and the query that it may begin with: CREATE TABLE … AS SELECT runs it, a view will."""
    tables = set(places.targets(items, dialect))
    unknown: tuple[str, ...] = ()
    inner = None
    at = places.query_within(items) if verdict.kind == "CREATE" else 0
    if at:
        inner = _judged(items[at:], dialect, allowed)
        tables.update(inner.tables)
        unknown = inner.unknown
    elif verdict.kind == "SHOW":
        unknown = invoked.unknown(items, dialect, allowed, None)
    if verdict.kind in {"CREATE", "ALTER"}:  # MySQL has columns before the query, with defaults that run
        unknown = tuple(sorted({*unknown, *invoked.in_definition(items[:at] if at else items, dialect, allowed)}))
    effect, because = verdict.effect, verdict.because
    if inner and inner.effect.severity > effect.severity:
        effect, because = inner.effect, inner.because
    elif unknown and effect.severity < Effect.UNKNOWN.severity:
        effect, because = Effect.UNKNOWN, _unknown_reason(unknown)
    if verdict.kind not in {"CREATE", "SHOW"}:
        because += _of(tables)
    return Statement(
        effect=effect,
        because=because,
        kind=verdict.kind,
        tables=tuple(sorted(tables)),
        unknown=unknown,
        rows=False,
        explainable=dialect == "postgres" and inner is not None and inner.explainable,
    )


def _explained(items: Sequence[Token], dialect: str, allowed: frozenset[str]) -> Statement:
    """EXPLAIN reads; with ANALYZE it does what it explains."""
    found = places.explains(items, dialect)
    if found.described:
        names = tuple(sorted(set(places.targets(items[:2], dialect))))
        return Statement(
            effect=Effect.READ,
            because="it reads which columns a table has",
            kind="EXPLAIN",
            tables=names,
            unknown=(),
            rows=False,
            explainable=False,
        )
    if not found.at or items[found.at].word in places.EXPLAINS:
        verbs.check(items[1:] or items, dialect)
        return _not_known("kv does not know this form of EXPLAIN", "EXPLAIN")
    inner = _judged(items[found.at :], dialect, allowed)
    effect, because = Effect.READ, "it reads how a statement would be run"
    if found.runs:
        because = "it runs the statement that it explains: " + inner.because
        effect = inner.effect
        if effect is not Effect.READ and effect.severity < Effect.UNKNOWN.severity:
            effect = Effect.UNKNOWN
    elif not inner.explainable:
        effect, because = Effect.UNKNOWN, inner.because
        if inner.effect is not Effect.UNKNOWN:
            because = "it explains a statement that kv does not understand"
    return replace(inner, effect=effect, because=because, kind="EXPLAIN", rows=False, explainable=False)


def _of_rows(items: Sequence[Token], dialect: str, allowed: frozenset[str]) -> Statement:
    """A query or a change of rows."""
    word = places.main(items)
    facts = tree.read(items, dialect)
    unknown = invoked.unknown(items, dialect, allowed, facts.renamed if facts else None)
    if facts:
        unknown = tuple(sorted({*unknown, *invoked.attributes(facts.reached, dialect, allowed)}))
    tables = facts.tables if facts else ()
    parts = places.changes(items) | (facts.writes & _CHANGED.keys() if facts else frozenset())
    doubts = list(_doubts(items, dialect, facts, unknown))
    effects = [(Effect.READ, "it reads" + (_of(tables, "") or " no table"))]
    effects += [_change(part, items, facts, _of(tables)) for part in sorted(parts)]
    effects += doubts
    into = bool(facts and "INTO" in facts.writes) or places.selects_into(items)
    if into:
        effects.append((Effect.WRITE, "it makes a table of what it reads"))
    if places.locks(items):
        effects.append((Effect.WRITE, f"it locks rows{_of(tables)}"))
    effect, because = max(effects, key=lambda one: one[0].severity)
    kind = "SELECT" if word in places.QUERIES or not word else word
    if kind == "SELECT" and parts:
        kind = max(sorted(parts), key=lambda part: _CHANGED[part][0].severity)
    return Statement(
        effect=effect,
        because=because,
        kind=kind,
        tables=tables,
        unknown=unknown,
        rows=word in places.QUERIES and not parts and not into,
        explainable=facts is not None and not doubts,
        reach=Reach(facts.reached if facts and dialect == "postgres" else ()),
    )


def _change(part: str, items: Sequence[Token], facts: tree.Facts | None, of: str) -> tuple[Effect, str]:
    effect, because = _CHANGED[part]
    if part in {"INSERT", "UPDATE"} and places.or_replace(items):
        return _CHANGED["REPLACE"][0], _CHANGED["REPLACE"][1] + of
    if part == "MERGE" and places.merge_deletes(items):
        return Effect.DESTROY, f"it adds, changes or deletes rows{of}"
    if facts and part in facts.every:
        return Effect.DESTROY, f"it {'changes' if part == 'UPDATE' else 'deletes'} every row{of}"
    return effect, because + of


def _doubts(
    items: Sequence[Token], dialect: str, facts: tree.Facts | None, unknown: Sequence[str]
) -> Iterable[tuple[Effect, str]]:
    """What is not known for harmless, each with its reason."""
    if unknown:
        yield Effect.UNKNOWN, _unknown_reason(unknown)
    if facts is None:
        long = len(items) > tree.MAX_TOKENS
        yield Effect.UNKNOWN, "it is too long for kv to judge" if long else "kv does not understand its grammar"
    else:
        guarded = [table for table in facts.tables if _guarded(table, dialect)]
        if guarded:
            yield Effect.UNKNOWN, f"it reads more than rows: {_names(guarded)}"
        if places.changes(items) - facts.writes - {"REPLACE"}:
            yield Effect.UNKNOWN, "a part of it may change rows"
    if dialect == "sqlite" and places.commands(items):
        yield Effect.UNKNOWN, "it may be a command to a full-text index, which could forget everything"
    if dialect == "mysql":
        if any(token.word == ":=" for token in items):
            yield Effect.UNKNOWN, "it sets a variable of the session"
        if places.draws(items):
            yield Effect.UNKNOWN, "it draws a number from a sequence"


def _guarded(table: str, dialect: str) -> bool:
    schema, _, name = table.rpartition(".")
    if dialect == "mysql":
        return schema == "mysql" and not table.startswith(_HARMLESS_SYSTEM)
    return name in _GUARDED[dialect]


def _unknown_reason(unknown: Sequence[str]) -> str:
    return f"it uses what is not on kv's list of harmless functions and types: {_names(unknown)}"


def _of(tables: Iterable[str], before: str = " of") -> str:
    """` of orders, items`; nothing where there is no table."""
    named = sorted(tables)
    return f"{before} {_names(named)}" if named else ""


def _names(names: Sequence[str]) -> str:
    shown = [name if _READABLE.fullmatch(name) else "a name in quotes" for name in names[:_SHOWN]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
