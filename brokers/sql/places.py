"""Where in a statement its words stand, and what they mean there. Pure.

Rules of this file
- A word that could also be a name counts as the worse of the two where a statement can begin.
- One pass over the tokens, and no recursion.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from brokers.sql.tokens import CAPITALS, folded, lower, spelled, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from brokers.sql.tokens import Token

QUERIES = frozenset({"SELECT", "VALUES", "TABLE", "WITH"})
CHANGES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
EXPLAINS = frozenset({"EXPLAIN", "DESCRIBE", "DESC"})
_BEFORE_NAMES = words(
    "TABLE TABLES VIEW ON TRUNCATE VACUUM ANALYZE CLUSTER REFERENCES LIKE INTO TO OPTIMIZE DESCRIBE DESC"
)
_BETWEEN = frozenset(
    {"IF", "NOT", "EXISTS", "ONLY", "TABLE", "CONCURRENTLY", "VIEW", "FULL", "VERBOSE", "LOCAL", "COLUMN"}
)
_NO_NAMES = frozenset(
    {"DELETE", "UPDATE", "ALL", "COMMIT", "SCHEMA", "DATABASE", "FUNCTION", "USER", "ROLE", "SEQUENCE"}
)


_NAMING = words("TABLE ONLY ADD COLUMN ALTER CONSTRAINT EXISTS RENAME TO . ( ,")  # of an ALTER TABLE: a name follows
_EXPLAIN_OPTIONS = words("ANALYZE ANALYSE FORMAT VERBOSE EXTENDED PARTITIONS QUERY PLAN")


class Explained(NamedTuple):
    """What an EXPLAIN is about: the statement from `at` on, whether it runs it, or (`described`) a table's columns."""

    at: int
    runs: bool
    described: bool = False


def engines(items: Sequence[Token]) -> frozenset[str]:
    """The storage engines that a definition of MySQL's names, in capitals, however each is quoted."""
    found: set[str] = set()
    depth = 0
    for at, token in enumerate(items[:-1]):
        depth += (token.word == "(") - (token.word == ")")
        after = items[at + 1]
        if token.word == "ENGINE" and after.word == "=" and at + 2 < len(items):
            found.add(items[at + 2].text.strip("'\"").translate(CAPITALS))
        elif token.word == "ENGINE" and not _is_column(items[at - 1].word, depth):
            found.add(after.text.strip("'\"").translate(CAPITALS))
    return frozenset(found)


def _is_column(before: str, depth: int) -> bool:
    """Whether a column's name stands behind `before`, which is at the beginning of a part of the definition."""
    listed = {"(", "COLUMN", "ADD", "MODIFY", "CHANGE", "DROP", "AFTER", "EXISTS"}
    return before in listed or (before == "," and depth > 0)


def retypes(listed: Sequence[str]) -> bool:
    """Whether an ALTER of PostgreSQL's gives a column another type: `ALTER name TYPE …`, `name SET DATA TYPE …`."""
    return "TABLE" in listed[1:3] and any(two == "TYPE" and one not in _NAMING for one, two in pairwise(listed))


def follows(listed: Sequence[str], word: str, after: set[str]) -> bool:
    """Whether one of `after` stands right behind `word`."""
    return any(one == word and two in after for one, two in pairwise(listed))


def changes(items: Sequence[Token]) -> frozenset[str]:
    """The changes of rows that may begin somewhere: at the start, behind a bracket, behind the bracket of a WITH."""
    found: set[str] = set()
    for at, token in enumerate(items):
        if token.word in CHANGES:
            before = items[at - 1].word if at else "("
            after = items[at + 1].word if at + 1 < len(items) else ""
            if before in {"(", ")"} and after not in {"(", ",", ")", "=", "."}:
                found.add(token.word)
    return frozenset(found)


def main(items: Sequence[Token]) -> str:
    """The word of what the statement is in the end: behind a WITH, or within brackets."""
    known = QUERIES | CHANGES
    if items[0].word == "(":
        return next((token.word for token in items if token.word in known - {"WITH"}), "")
    if items[0].word != "WITH":
        return items[0].word
    depth = 0
    for token in items:
        depth += (token.word == "(") - (token.word == ")")
        if not depth and token.word in known and token.word != "WITH":
            return token.word
    return ""


def targets(items: Sequence[Token], dialect: str) -> tuple[str, ...]:
    """The tables that a statement of this file's own kinds names, in no order and some of them twice."""
    found: list[str] = []
    read = 0  # up to where words were taken for what stands between such a word and its names
    for at, token in enumerate(items):
        if at < read or token.word not in _BEFORE_NAMES or (token.word == "TO" and items[0].word != "RENAME"):
            continue
        column = False
        index = at + 1
        while index < len(items) and items[index].word in _BETWEEN:
            column = column or items[index].word == "COLUMN"
            index += 1
        read = index
        while index < len(items) and items[index].kind in {"word", "quoted"} and items[index].word not in _NO_NAMES:
            parts = [items[index]]
            while index + 2 < len(items) and items[index + 1].word == ".":
                index += 2
                parts.append(items[index])
            found.append(".".join(spelled(folded(part, dialect)) for part in (parts[:-1] if column else parts)))
            if index + 1 >= len(items) or items[index + 1].word != ",":
                break
            index += 2
    return tuple(filter(None, found))


def locks(items: Sequence[Token]) -> bool:
    """Whether a query locks the rows that it reads."""
    for at, token in enumerate(items):
        words = [one.word for one in items[at : at + 4]]
        if words[:1] == ["FOR"] and words[1:2] and words[1] in {"UPDATE", "SHARE", "NO", "KEY"}:
            return True
        if token.word == "LOCK" and words == ["LOCK", "IN", "SHARE", "MODE"]:
            return True
    return False


def analyzes(items: Sequence[Token]) -> bool:
    """MariaDB's `ANALYZE statement`, which runs it; `ANALYZE TABLE` is another thing."""
    words = [token.word for token in items[:2]]
    return (
        len(words) > 1
        and words[0] == "ANALYZE"
        and (words[1] in QUERIES - {"TABLE"} or words[1] in {*CHANGES, "FORMAT", "("})
    )


def explains(items: Sequence[Token], dialect: str) -> Explained:
    """How an EXPLAIN is to be read. `at` is 0 where that is not known."""
    runs, at = items[0].word == "ANALYZE", 1
    if dialect == "postgres" and items[1:2] and items[1].word == "(" and items[2].word not in {*QUERIES, "("}:
        close = next((index for index, token in enumerate(items) if token.word == ")"), len(items))
        return Explained(close + 1 if close + 1 < len(items) else 0, runs=_analyze_option(items[2:close]))
    while at < len(items) and items[at].word in _EXPLAIN_OPTIONS:
        runs = runs or items[at].word in {"ANALYZE", "ANALYSE"}
        at += 3 if items[at].word == "FORMAT" else 1
    if at >= len(items):
        return Explained(0, runs=runs)
    if dialect == "mysql" and at == 1 and items[at].word not in QUERIES | CHANGES | {"FOR"} and _is_name(items[1:]):
        return Explained(0, runs=runs, described=True)
    return Explained(at, runs=runs)


def _is_name(items: Sequence[Token]) -> bool:
    """Whether what follows DESCRIBE is a table, and a column at most."""
    at = 0
    while at + 2 < len(items) and items[at + 1].word == ".":
        at += 2
    return items[at].kind in {"word", "quoted"} and len(items) - at <= 2  # noqa: PLR2004 - a table and a column


def _analyze_option(items: Sequence[Token]) -> bool:
    """Whether ANALYZE is asked for and not said to be off. Of several the worst counts."""
    for at, token in enumerate(items):
        if token.word in {"ANALYZE", "ANALYSE"} or token.text.lower() == "analyze":
            value = items[at + 1] if at + 1 < len(items) else None
            if value is None or value.text.lower() not in {"false", "off", "0"}:
                return True
    return False


def query_within(items: Sequence[Token]) -> int:
    """Where the query of CREATE … AS begins, or 0."""
    for at in range(2, len(items)):
        word, before = items[at].word, items[at - 1].word
        if word in QUERIES and before == "AS":
            return at
        if word == "SELECT" or (
            word == "(" and before == "AS" and at + 1 < len(items) and items[at + 1].word in QUERIES
        ):
            return at
    return 0


def selects_into(items: Sequence[Token]) -> bool:
    """`SELECT … INTO name`: an INTO that belongs to no INSERT or MERGE."""
    return any(token.word == "INTO" and not (at and inserts(items, at)) for at, token in enumerate(items))


def or_replace(items: Sequence[Token]) -> bool:
    """SQLite's `INSERT OR REPLACE`."""
    return any(one.word == "OR" and two.word == "REPLACE" for one, two in pairwise(items))


def commands(items: Sequence[Token]) -> bool:
    """SQLite's `INSERT INTO name (name) …`, which tells a full-text index what to do, be it to forget everything."""
    return any(_tells(items, at + 1) for at, token in enumerate(items) if token.word == "INTO" and inserts(items, at))


def _tells(items: Sequence[Token], at: int) -> bool:
    """Whether one of the columns that are listed behind the table named at `at` has the table's name."""
    while at + 2 < len(items) and items[at + 1].word == ".":
        at += 2
    opening = at + (3 if [token.word for token in items[at + 1 : at + 2]] == ["AS"] else 1)
    close = next((end for end in range(opening, len(items)) if items[end].word == ")"), opening)
    return any(_bare(column) == _bare(items[at]) for column in items[opening + 1 : close])


def _bare(token: Token) -> str:
    return lower(token.text.strip("'"))  # SQLite takes a string for a name where a name has to stand


def merge_deletes(items: Sequence[Token]) -> bool:
    """`WHEN … THEN DELETE`."""
    return any(one.word == "THEN" and two.word == "DELETE" for one, two in pairwise(items))


def draws(items: Sequence[Token]) -> bool:
    """`NEXT VALUE FOR sequence`, or `sequence.nextval` as sql_mode ORACLE has it."""
    words = [token.word for token in items]
    return any(
        words[at : at + 3] == ["NEXT", "VALUE", "FOR"] or words[at : at + 2] == [".", "NEXTVAL"]
        for at in range(len(words))
    )


def inserts(items: Sequence[Token], at: int) -> bool:
    """Whether the INTO at `at` is that of INSERT or REPLACE, a modifier or two between them."""
    return any(token.word in {"INSERT", "REPLACE", "MERGE"} for token in items[max(0, at - 3) : at])
