"""What a JSON text says and where each of its values stands: JSON (RFC 8259) with comments and trailing commas.

Rules of this file
- Pure. What is not of that form is refused, with the line; nothing is guessed or repaired.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from editor_setup.contract import BOM, EditError, step

if TYPE_CHECKING:
    from collections.abc import Sequence

_DEPTH = 200  # of nesting: far more than settings have, far less than Python's own limit
_TOKEN = re.compile(
    r"(?P<blank>[ \t\r\n]+)"
    r"|(?P<comment>//[^\r\n]*|/\*.*?\*/)"
    r'|(?P<text>"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*")'
    r"|(?P<mark>[{}\[\]:,])"
    r"|(?P<word>[A-Za-z0-9+.-]+)",
    re.DOTALL,
)


class _Token(NamedTuple):
    """A piece of the text that is neither blank nor comment. `before` is where the last piece of any kind ended."""

    kind: str
    start: int
    end: int
    before: int


@dataclass(slots=True)
class Node:
    """A value: where it stands, what it is, and of an object its members, of an array its items, in order."""

    start: int
    end: int = 0
    value: object = None
    members: list[Member] = field(default_factory=list)
    last: int = 0  # of both: the end of what stands before the closing mark, comments included
    trailing: bool = False  # a comma stands behind the last of them


class Member(NamedTuple):
    """A name and its value; `start` is the name's, `end` that of the comma behind it, or of the value.

    An item of an array has no name, and starts with its value.
    """

    name: str
    start: int
    node: Node
    end: int


def parse(text: str, path: Sequence[str] = ()) -> Node | None:
    """The value of a text, or None where there is none. Raises `EditError`: `unreadable`, `deep`.

    Members and items are there along `path`; what is beside it is read by the standard library where that reads it,
    which is fifty times as fast: some clients keep megabytes of state in their settings.
    """
    reader = _Reader(text)
    if reader.kind == "end":
        return None
    root = reader.value(0, path)
    reader.take("end")
    return root


class _Reader:
    """Goes through the tokens of a text once, by recursive descent."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._before = 1 if text.startswith(BOM) else 0
        self._token = self._next()

    @property
    def kind(self) -> str:
        """Of the token that comes next: a mark, `text`, `word` or `end`."""
        return self._token.kind

    def take(self, kind: str) -> _Token:
        """The next token, which has to be of that kind."""
        token = self._token
        if token.kind != kind:
            raise _unreadable(self._text, token.start)
        if kind != "end":
            self._token = self._next()
        return token

    def value(self, depth: int, path: Sequence[str] | None) -> Node:
        """The next value; no path leads into it where `path` is None."""
        if depth > _DEPTH:
            raise EditError("deep")
        if not path and (node := self._plain_json()):
            return node
        if self.kind == "{":
            return self._object(depth, path)
        if self.kind == "[":
            return self._array(depth, path)
        token = self.take("text" if self.kind == "text" else "word")
        return Node(token.start, token.end, self._plain(token))

    def _plain_json(self) -> Node | None:
        """The next value as the standard library reads it, where it does."""
        start = self._token.start
        try:
            value, end = _DECODER.raw_decode(self._text, start)
        except (ValueError, RecursionError):
            return None
        self._at = self._before = end
        self._token = self._next()
        return Node(start, end, value)

    def _plain(self, token: _Token) -> object:
        try:
            return json.loads(self._text[token.start : token.end], parse_constant=_no_constant)
        except ValueError:
            raise _unreadable(self._text, token.start) from None

    def _object(self, depth: int, path: Sequence[str] | None) -> Node:
        node = Node(self.take("{").start)
        while self.kind != "}":
            title = self.take("text")
            self.take(":")
            name = str(self._plain(title))
            if not self._member(node, name, title.start, depth, path[1:] if path and step(path[0]) == name else None):
                break
        close = self.take("}")
        node.last, node.end = close.before, close.end
        node.value = {member.name: member.node.value for member in node.members}
        return node

    def _member(self, node: Node, name: str, start: int, depth: int, path: Sequence[str] | None) -> bool:
        """Take the next value of an object or array, with its comma; whether another may follow."""
        value = self.value(depth + 1, path)
        node.trailing = self.kind == ","
        end = self.take(",").end if node.trailing else value.end
        node.members.append(Member(name, start, value, end))
        return node.trailing

    def _array(self, depth: int, path: Sequence[str] | None) -> Node:
        node = Node(self.take("[").start)
        while self.kind != "]":
            if not self._member(node, "", self._token.start, depth, path[1:] if path else None):
                break
        close = self.take("]")
        node.last, node.end = close.before, close.end
        node.value = [member.node.value for member in node.members]
        return node

    def _next(self) -> _Token:
        text, before = self._text, self._before
        while self._at < len(text):
            found = _TOKEN.match(text, self._at)
            if found is None:
                raise _unreadable(text, self._at)
            self._at = found.end()
            if found.lastgroup != "blank":
                self._before = self._at
            if found.lastgroup not in {"blank", "comment"}:
                kind = found[0] if found.lastgroup == "mark" else str(found.lastgroup)
                return _Token(kind, found.start(), self._at, before)
            before = self._before
        return _Token("end", self._at, self._at, before)


def _no_constant(_: str) -> object:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _unreadable(text: str, at: int) -> EditError:
    return EditError("unreadable", line=text.count("\n", 0, at) + 1)
