"""Which statements are sent at all, by their first words, whatever they were judged to be. Pure.

Rules of this file
- A read-only transaction of MySQL ends when a statement commits. CALL and BEGIN NOT ATOMIC run several statements, so
  they can end it, open another and write (measured, MariaDB 10.11): in mode=read only queries are sent.
- A definition commits by itself, so it cannot be tried and rolled back.
- MariaDB performs subqueries and functions while it plans, those behind a view and those of a column's default too. So
  for a card it is asked only about what has none: nobody has said yes yet, and what they do is not undone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from brokers.contract import BrokerError
from brokers.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.tokens import Token

_QUERIES = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})
_READS = _QUERIES | {"SHOW", "DESCRIBE", "DESC", "EXPLAIN", "HELP", "CHECKSUM"}
_ANALYZED = (_QUERIES - {"TABLE"}) | _CHANGES | {"FORMAT"}  # MariaDB's ANALYZE of a statement; ANALYZE TABLE writes
_FILES = frozenset({"OUTFILE", "DUMPFILE"})
_NAMES = frozenset({"word", "quoted", "string"})  # in double quotes a name, where a server runs with ANSI_QUOTES
_BARE = frozenset({"UPDATE", "DELETE"})
_WITHIN = _QUERIES | {"DEFAULT"}  # what would be performed: each is a reserved word, and no name without quotes
# Reserved words that a bracket may follow without being called.
_NO_CALLS = frozenset(
    (
        *("AND", "BETWEEN", "CASE", "DIV", "ELSE", "IN", "IS", "LIKE", "LIMIT", "NOT", "ON", "OR", "REGEXP", "RLIKE"),
        *("THEN", "USING", "WHEN", "WHERE", "XOR"),
    )
)


def check_read(sql: str) -> None:
    """Refuse what is no query. Raises `BrokerError("argument")`."""
    items = tokens(sql, "mysql").items
    words = _words(items)
    reads = words[0] in _READS or (words[0] == "ANALYZE" and words[1] in _ANALYZED)
    to_file = any(one.word == "INTO" and two.word in _FILES for one, two in pairwise(items))
    if not reads or to_file:
        raise BrokerError("argument", argument="mode", why="only a query is sent in mode=read: say mode=write")


def check_dry_run(sql: str) -> None:
    """Refuse what cannot be rolled back. Raises `BrokerError("argument")`."""
    if _words(tokens(sql, "mysql").items)[0] not in _QUERIES | _CHANGES:
        raise BrokerError("argument", argument="dry_run", why="MySQL commits this kind of statement by itself")


def check_explainable(sql: str) -> None:
    """Refuse what EXPLAIN would not merely explain. Raises `BrokerError("argument")`."""
    items = tokens(sql, "mysql").items
    called = (one.word not in _NO_CALLS and one.kind in _NAMES for one, two in pairwise(items) if two.word == "(")
    within = (token.word in _WITHIN for token in items[1:])
    if items[0].word not in _BARE or any(called) or any(within):
        raise nothing_to_estimate()


def nothing_to_estimate() -> BrokerError:
    """The refusal of an estimate."""
    return BrokerError("argument", argument="sql", why="kv asks for none: the server would perform parts of it")


def _words(items: Sequence[Token]) -> tuple[str, str]:
    words = (token.word for token in items if token.word != "(")
    return next(words, ""), next(words, "")
