"""A statement in plain words for the parser: same names, same shape, none of the agent's values. Pure.

Rules of this file
- Comments are gone, strings and parameters replaced by neutral ones: no value reaches a parser's error or log.
- What the parser is known not to understand is said in a way that it does, or left out where it holds nothing but
  keywords and literals. Functions, types and operators are read by `invoked`, from the tokens as they came.
- A name is never left out, and never another one than it was.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from brokers.sql.invoked import known
from brokers.sql.tokens import Token, lower, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLAIN = re.compile(r"'[\w :.+-]{0,64}'", re.ASCII)
_SAME = words("= < > <= >= <> != + - * / % || -> ->>")
_TEXTS = frozenset({"string", "escaped"})
_LITERALS = frozenset({"string", "escaped", "number", "param"})
_OWN_TYPES = frozenset(
    {"INTERVAL", "DATE", "TIME", "TIMESTAMP", "PRECISION", "VARYING", "ZONE"}
)  # the parser knows them
_LOCKS = frozenset({"UPDATE", "SHARE", "NO", "KEY"})
_LOCKING = _LOCKS | {"NOWAIT", "SKIP", "LOCKED", "OF"}
_BEFORE_QUERY = frozenset({"", "(", "UNION", "ALL", "EXCEPT", "INTERSECT", "DISTINCT", "EXPLAIN"})
_MODIFIERS = words(
    """
    SQL_NO_CACHE SQL_CACHE HIGH_PRIORITY LOW_PRIORITY DELAYED QUICK SQL_CALC_FOUND_ROWS SQL_BIG_RESULT
    SQL_SMALL_RESULT SQL_BUFFER_RESULT
    """
)


def render(items: Sequence[Token], dialect: str, types: frozenset[str]) -> str:
    """The statement as the parser is to see it. `types`: words that it takes for types where a bracket follows."""
    kept = _called(tuple(_unlocked(_without_json_clauses(items))), types)
    return " ".join(_plain(_rounded(kept) if dialect == "postgres" else kept, dialect))


def _called(items: Sequence[Token], types: frozenset[str]) -> Sequence[Token]:
    """With `f(x)` for `date(x)`: a call that could be a type is read twice, and ten in one another a thousand times."""
    kept = list(items)
    for at in range(len(items) - 2):
        called = items[at].word in types and items[at + 1].word == "(" and items[at + 2].kind != "number"
        if called and (not at or items[at - 1].word not in {"AS", "::", ".", "INTO", "INSERT", "REPLACE", "IGNORE"}):
            kept[at] = Token("word", "f", "F")
    return kept


def _rounded(items: Sequence[Token]) -> Sequence[Token]:
    """With `f(1, 2)` for `array[1, 2]`, which the parser reads twice as well."""
    kept: list[Token] = []
    round_: list[bool] = []
    for token in items:
        changed = token
        if token.word == "[":
            round_.append(bool(kept) and kept[-1].word == "ARRAY")
            if round_[-1]:
                kept[-1], changed = Token("word", "f", "F"), Token("mark", "(", "(")
        elif token.word == "]" and round_ and round_.pop():
            changed = Token("mark", ")", ")")
        kept.append(changed)
    return kept


def _without_json_clauses(items: Sequence[Token]) -> Sequence[Token]:
    """Without the NULL ON EMPTY and DEFAULT 'x' ON ERROR of JSON_TABLE's columns."""
    if not any(token.word in {"EMPTY", "ERROR"} for token in items):
        return items
    kept: list[Token] = []
    for token in items:
        kept.append(token)
        last = [one.word for one in kept[-4:]]
        if last[-2:-1] == ["ON"] and token.word in {"EMPTY", "ERROR"}:
            if last[-3] in {"NULL", "ERROR"}:
                del kept[-3:]
            elif len(last) > 3 and last[-4] == "DEFAULT" and kept[-3].kind in _LITERALS:  # noqa: PLR2004 - four words
                del kept[-4:]
    return kept


def _unlocked(items: Sequence[Token]) -> Iterator[Token]:
    """Without its locking clauses, which are judged by their words; nothing behind one is left out."""
    at = 0
    while at < len(items):
        if items[at].word == "FOR" and at + 1 < len(items) and items[at + 1].word in _LOCKS:
            at += 2
            while at < len(items) and items[at].word in _LOCKING:
                at += 1
                # names of what stands in FROM already, one after the other with commas between
                while items[at - 1].word in {"OF", ","} and at < len(items) and items[at].kind in {"word", "quoted"}:
                    at += 2 if at + 1 < len(items) and items[at + 1].word == "," else 1
        else:
            yield items[at]
            at += 1


def _plain(items: Sequence[Token], dialect: str) -> Iterator[str]:
    before = ""
    for at, token in enumerate(items):
        following = items[at + 1] if at + 1 < len(items) else None
        if dialect == "postgres" and following and following.kind in _TEXTS and _is_type(token):
            continue
        if dialect == "mysql" and (_modifies(token, before) or (token.word == "ROW" and before == "VALUES")):
            continue
        starts = before in _BEFORE_QUERY
        before = token.word or token.kind
        if token.word == "TABLE" and starts:
            yield "SELECT * FROM"
        elif token.word == "VALUES" and starts and dialect == "mysql":
            yield "SELECT"  # the rows are tuples to it
        else:
            yield _word(token, dialect)


def _modifies(token: Token, before: str) -> bool:
    """`SELECT SQL_NO_CACHE`: elsewhere such a word may be a name."""
    return token.word in _MODIFIERS and before in {"SELECT", "DISTINCT", "INSERT", "REPLACE", "UPDATE", "DELETE"}


def _word(token: Token, dialect: str) -> str:
    kind, text = token.kind, token.text
    if kind == "quoted":
        quote = "`" if dialect == "mysql" else '"'
        return quote + text.replace(quote, quote * 2) + quote
    if kind in _TEXTS:
        return text if _PLAIN.fullmatch(text) else "'x'"
    if kind in {"param", "variable", "setting"} or (kind == "number" and not text[-1].isdecimal()):
        return "1"
    if kind == "operator" and dialect == "postgres":
        return _operator(text)
    return "=" if token.word == ":=" and dialect == "mysql" else text


def _is_type(token: Token) -> bool:
    """Whether `point '(1,2)'` begins here, of which the parser needs to see the text alone."""
    return token.kind == "word" and token.word not in _OWN_TYPES and lower(token.text) in known("postgres-types")


def _operator(text: str) -> str:
    """A PostgreSQL operator as one that the parser knows: `-` can stand before and between values."""
    if text in _SAME:
        return text
    plain = text.rstrip("+-")
    return f"{plain} -" if plain in _SAME and plain != text else "-"
