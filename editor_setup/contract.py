"""What an edit is: pieces of a text replaced by others, each of which can be taken back.

Rules of this file
- Standard library only; no I/O; no import of `kv`.
- A text is changed by `Splice`s and by nothing else, so what no splice names keeps its bytes.
- A text that is not understood is refused with an `EditError` and left alone. Its words are literals of this library's
  source: other people's files hold other people's secrets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BOM = "\ufeff"

# What may be wrong with a text, by code; `line` and `name` are filled in.
_ERRORS = {
    "unreadable": "line {line} is not what the format allows",
    "occupied": "'{name}' is there already, and is something else",
    "unlisted": "'{name}' is there already, and is no list: make it one",
    "form": "the place of '{name}' is in a form that is not edited here",
    "unmade": "it is not there yet: the client makes it when it is first started",
    "twice": "'{name}' is there twice: which one counts is for a person to say",
    "deep": "it is nested deeper than any settings are",
    "changed": "it was changed in the very place",
    "place": "it is not a plain file of yours that can be read and written",
    "large": "it is larger than any settings are",
}


class EditError(Exception):
    """A text that is left alone. `code` is one of the closed list above."""

    def __init__(self, code: str, *, line: int = 0, name: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.line = line
        self.message = _ERRORS[code].format(line=line, name=step(name))

    def __str__(self) -> str:
        return self.message


class Splice(NamedTuple):
    """`old` at `start`, in characters of the text before, becomes `new`."""

    start: int
    old: str
    new: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """`text` with every splice made. They name places in `text`, do not overlap, and stand in their order.

    Raises `EditError("changed")` where `old` is not what is there.
    """
    found: list[str] = []
    at = 0
    for start, old, new in splices:
        if start < at or text[start : start + len(old)] != old:
            raise EditError("changed")
        found += [text[at:start], new]
        at = start + len(old)
    return "".join([*found, text[at:]])


def inverse(splices: Sequence[Splice]) -> list[Splice]:
    """The splices that take `splices` back."""
    found: list[Splice] = []
    moved = 0
    for start, old, new in splices:
        found.append(Splice(start + moved, new, old))
        moved += len(new) - len(old)
    return found


class Absent:
    """What is found where nothing is: JSON and YAML have a null of their own."""


ABSENT: Final = Absent()
_ITEM = re.compile(r"\[([^=\]]*)=(.*)\]", re.DOTALL)


class Item(NamedTuple):
    """An item of a list: the one that is `text`, or the object whose `field` is."""

    field: str
    text: str

    def matches(self, value: object) -> bool:
        """Whether `value` is that item."""
        return (value.get(self.field) if self.field and isinstance(value, dict) else value) == self.text

    def __str__(self) -> str:
        return self.text


def step(text: str) -> str | Item:
    """A step of a path: a member's name, or `[=text]` and `[field=text]` for an item of a list."""
    found = _ITEM.fullmatch(text)
    return Item(found[1], found[2]) if found else text


def occupied(wanted: str | Item) -> str:
    """The code for what stands where a step leads into something else."""
    return "unlisted" if isinstance(wanted, Item) else "occupied"


def at(value: object, path: Iterable[str]) -> object:
    """What stands at `path` in data, `ABSENT` where nothing does."""
    for each in map(step, path):
        if isinstance(each, Item):
            items = value if isinstance(value, list) else []
            value = next((item for item in items if each.matches(item)), ABSENT)
        else:
            value = value.get(each, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def nested(path: Sequence[str], value: object) -> object:
    """The value that has `value` at `path` and nothing else."""
    for each in reversed(path):
        value = [value] if isinstance(step(each), Item) else {each: value}
    return value
