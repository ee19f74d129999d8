"""What an edit is: pieces of a text replaced by others, each of which can be taken back.

Rules of this file
- Standard library only; no I/O; no import of `kv`.
- A text is changed by `Splice`s and by nothing else, so what no splice names keeps its bytes.
- A text that is not understood is refused with an `EditError` and left alone. Its words are literals of this library's
  source: other people's files hold other people's secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What may be wrong with a text, by code; `line` and `name` are filled in.
_ERRORS = {
    "unreadable": "line {line} is not what the format allows",
    "occupied": "'{name}' is there already, and is something else",
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
        self.message = _ERRORS[code].format(line=line, name=name)

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
