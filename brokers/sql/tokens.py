"""A statement's tokens as its engine reads them: what is a comment, a string or a name is decided here. Pure.

Rules of this file
- The engine's own lexical rules, with its default settings: PostgreSQL with `standard_conforming_strings`, MySQL and
  MariaDB without `ANSI_QUOTES` and `NO_BACKSLASH_ESCAPES`. Whoever sends the statement sets these first.
- Where versions or settings differ on how a text is cut, the text is refused: a second reading is where a second
  statement hides.
- Linear in the length of the text, and no recursion.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from brokers.contract import BrokerError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SQL = 1 << 20  # bytes: a migration's longest statement, and more than a person reads on a card
MAX_WORDS = 50_000  # names, values and marks: a third of a second here; more is a load of rows, which has its own call
MAX_DEPTH = 60  # brackets within brackets: people write ten; a parser that recurses has a stack of a thousand frames

# Words are letters; a character that is none (a no-break space, a joiner, a vertical tab) is white space to one
# program and part of a name to another. A digit is one of ten: any other is a letter to PostgreSQL and MariaDB, and is
# refused where a word begins.
_WORD = r"[^\W\d][\w$]*"
_DECIMAL = r"(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?"
_NUMBER = rf"(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|{_DECIMAL})"
_SPACE = r"[ \t\r\n]+"
# No possessive group here or below: before Python 3.11.5 one with alternatives in it misses matches. These are unrolled
# instead, and an end that another quote follows is none, so that nothing is ever tried twice.
_BLOCK = r"/\*[^*]*\*+(?:[^/*][^*]*\*+)*/"
_MARKS = r"[(){}\[\],;.]"
_DOUBLED = r"'[^']*(?:''[^']*)*'(?!')"
_ESCAPED = r"'[^'\\]*(?:(?:\\.|'')[^'\\]*)*'(?!')"


def _lexer(*rows: tuple[str, str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in rows), re.DOTALL)


LEXERS = {
    "postgres": _lexer(
        ("space", _SPACE + r"|--[^\r\n]*"),
        ("nested", r"/\*"),
        ("string", rf"[bBxXnN]?{_DOUBLED}|[uU]&{_DOUBLED}"),
        ("escaped", rf"[eE]{_ESCAPED}"),
        ("hidden", r'[uU]&"'),
        ("quoted", r'"[^"]*(?:""[^"]*)*"(?!")'),
        ("number", _NUMBER),
        ("dollar", r"\$(?:[^\W\d]\w*)?\$"),
        ("param", r"\$[0-9]+"),
        ("word", _WORD),
        ("mark", rf"::|:=|:|{_MARKS}"),
        ("operator", r"(?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])+"),
    ),
    # `--` begins a comment only before white space or the end: `1--1` is 2
    "mysql": _lexer(
        ("space", _SPACE + r"|#[^\n]*|--(?=[ \t\r\n]|\Z)[^\n]*|" + _BLOCK),
        ("string", rf'[nNbBxX]?{_ESCAPED}|"[^"\\]*(?:(?:\\.|"")[^"\\]*)*"(?!")'),
        ("quoted", r"`[^`]*(?:``[^`]*)*`(?!`)"),
        ("number", _NUMBER),
        ("setting", r"@@(?:[\w$.]+|`[^`]*`)"),
        ("variable", rf"@(?:[\w$.]+|`[^`]*`|{_ESCAPED}|\"[^\"\\]*(?:(?:\\.|\"\")[^\"\\]*)*\"(?!\"))?"),
        ("param", r"\?|%s\b"),
        ("word", r"[^\W\d][\w$]*"),
        ("mark", rf":=|{_MARKS}"),
        ("operator", r"<=>|->>|->|<=|>=|<>|!=|\|\||&&|<<|>>|(?!/\*)[-+*/<>=~!%^&|:]"),
    ),
    "sqlite": _lexer(
        ("space", _SPACE + r"|--[^\n]*|" + _BLOCK),
        ("string", rf"[xX]?{_DOUBLED}"),
        ("quoted", r'"[^"]*(?:""[^"]*)*"(?!")|`[^`]*(?:``[^`]*)*`(?!`)|\[[^\]]*\]'),
        ("number", _NUMBER),
        ("param", r"\?[0-9]*|[:@$]\w+"),
        ("word", _WORD),
        ("mark", r"[(){},;.]"),  # a bracket that nothing closes is none, and looking for its end each time is quadratic
        ("operator", r"->>|->|<=|>=|<>|!=|==|\|\||<<|>>|(?!/\*)[-+*/<>=~%&|]"),
    ),
}
_NAME = re.compile(r"[a-z_][a-z0-9_$]*")
CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_SMALL = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Token(NamedTuple):
    """A piece of the statement. `word` is an unquoted word in capitals or a mark or operator as it is, else empty.

    `text` of a word or a quoted name is the name itself, without quotes; of a string its source.
    """

    kind: str
    text: str
    word: str


class Tokens(NamedTuple):
    """A statement without comments. `hint` says that one of its comments speaks to the planner (`/*+`)."""

    items: tuple[Token, ...]
    hint: bool


def refuse(why: str) -> NoReturn:
    """Refuse the statement: it is never sent."""
    raise BrokerError("argument", argument="sql", why=why)


def words(text: str) -> frozenset[str]:
    """The words of a table that is written as text."""
    return frozenset(text.split())


def lower(name: str) -> str:
    """`name` with its ASCII letters small: no server takes a Kelvin sign for a K."""
    return name.translate(_SMALL)


def folded(token: Token, dialect: str) -> str:
    """A name as its engine compares it: MySQL and SQLite pay no heed to case, quoted or not."""
    return token.text if token.kind == "quoted" and dialect == "postgres" else lower(token.text)


def spelled(name: str) -> str:
    """A folded name as rules spell it: in double quotes unless it is plain."""
    return name if _NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def pieces(sql: str, dialect: str) -> Iterator[tuple[str, str]]:
    """The whole text, piece by piece, each with its kind; white space and comments are "space", or "nested".

    Raises `BrokerError("argument")` where it cannot be cut.
    """
    lexer, at, size = LEXERS[dialect], 0, len(sql)
    while at < size:
        match = lexer.match(sql, at)
        if match is None:
            _unreadable(sql[at])
        kind, end = str(match.lastgroup), match.end()
        if kind in {"nested", "dollar"}:
            end = _comment_end(sql, at) if kind == "nested" else _dollar_end(sql, end, match.group())
        yield kind, sql[at:end]
        at = end


def tokens(sql: str, dialect: str) -> Tokens:
    """The statement's tokens, a last semicolon left out. Raises `BrokerError("argument")` for what is never sent."""
    _check_text(sql, dialect)
    at = 0
    found: list[Token] = []
    newline = False  # whether white space with a line's end stands before the next token
    for kind, text in pieces(sql, dialect):
        if kind in {"space", "nested"}:
            newline = newline or (kind == "space" and ("\n" in text or "\r" in text))
        else:
            _check_next(sql, at, at + len(text), kind)
            if kind == "word" and dialect == "postgres" and text.lower() != lower(text):
                # A database of one byte a character folds these as well, by its locale; one of UTF-8 does not.
                refuse("a name has a capital letter beyond ASCII: put it in double quotes, as the database spells it")
            if newline and found and found[-1].kind == "escaped" and text[0] == "'":
                # The server reads on with backslashes as escapes, which the second string's own quote does not show.
                refuse("a string of the E'…' form goes on in another line: write it as one")
            found.append(_token(kind, text))
            if len(found) > MAX_WORDS:
                refuse("the statement has more than 50,000 words: load rows from a file, or send them in parts")
            newline = False
        at += len(text)
    return Tokens(_one(found), "/*+" in sql)


def _check_text(sql: str, dialect: str) -> None:
    try:
        size = len(sql.encode())
    except UnicodeEncodeError:
        refuse("the statement is not Unicode text")
    if size > MAX_SQL:
        refuse("the statement is longer than 1 MiB")
    if "\0" in sql:
        refuse("the statement holds a NUL")
    if dialect == "mysql":
        # Anywhere, in strings too: what a string is depends on the server's sql_mode, and a value has its parameter.
        if "/*!" in sql or "/*M!" in sql or "/*m!" in sql:
            refuse("comments that the server executes (/*! and /*M!) are refused; give such a text as a parameter")
        if "/*+" in sql:
            refuse("optimizer hints (/*+) are refused: they change settings")


def _unreadable(character: str) -> NoReturn:
    if character in "'\"`[":
        refuse("a string or a quoted name is not closed")
    if character == "/":
        refuse("a comment is not closed")
    if character.isspace() or not character.isprintable():
        refuse("there is white space other than space, tab and line end outside of quotes")
    if ord(character) > 0x7F:  # noqa: PLR2004 - the end of ASCII
        refuse("there is a character outside of quotes that belongs to no name")
    refuse("there is a character outside of quotes that is no SQL of this engine")


def _comment_end(sql: str, at: int) -> int:
    depth, pattern = 0, re.compile(r"/\*|\*/")
    while True:
        match = pattern.search(sql, at)
        if match is None:
            refuse("a comment is not closed")
        depth += 1 if match.group() == "/*" else -1
        at = match.end()
        if not depth:
            return at


def _dollar_end(sql: str, at: int, tag: str) -> int:
    end = sql.find(tag, at)
    if end < 0:
        refuse("a dollar-quoted string is not closed")
    return end + len(tag)


def _check_next(sql: str, at: int, end: int, kind: str) -> None:
    """Refuse what versions of a server cut in different places."""
    if kind == "hidden":
        refuse('names of the U&"…" form are refused: write the name itself')
    following = sql[end : end + 1]
    if kind in {"number", "param"} and (following in {"$", "_"} or following.isalnum()):
        if sql[at] == "?" or sql[at] == "%":
            return
        refuse("a number runs into a word: put a space between them, and quote a name that begins with a digit")
    if kind == "word" and following and not following.isascii():
        _unreadable(following)


def _token(kind: str, text: str) -> Token:
    if kind == "word":
        return Token(kind, text, text.translate(CAPITALS))
    if kind in {"mark", "operator"}:
        return Token(kind, text, text)
    if kind == "quoted":
        return Token(kind, text[1:-1] if text[0] == "[" else text[1:-1].replace(text[0] * 2, text[0]), "")
    return Token("string" if kind == "dollar" else kind, text, "")


def _one(found: list[Token]) -> tuple[Token, ...]:
    """The tokens of a single statement, its brackets matched."""
    while found and found[-1].word == ";":
        found.pop()
    if not found:
        refuse("the statement is empty")
    depth, deepest = 0, 0
    for token in found:
        if token.word == ";":
            refuse("there is more than one statement: send them one by one")
        if token.word in {"(", "[", "{"}:
            depth += 1
            deepest = max(deepest, depth)
        elif token.word in {")", "]", "}"}:
            depth -= 1
    if depth:
        refuse("the brackets do not match")
    if deepest > MAX_DEPTH:
        refuse("brackets are nested more than 60 deep")
    return tuple(found)
