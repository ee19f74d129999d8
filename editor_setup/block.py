"""A block of ours in a text that people write, between two marks: put in at the end, kept up to date, taken out.

The marks are comments of the text's kind: Markdown shows nothing of its own, lists of patterns skip lines with `#`.

Rules of this file
- Pure: text in, splices out.
- What is between the marks is ours; a person who wants to keep something moves it out.
- A mark without its other half is refused: whose the text behind it is, nobody can say.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from editor_setup.contract import EditError, Splice


class Marks(NamedTuple):
    """What stands before a block and behind it."""

    begin: str
    end: str


MARKDOWN, PATTERNS = Marks("<!-- kv:begin -->", "<!-- kv:end -->"), Marks("# kv:begin", "# kv:end")


def put(text: str, block: str, marks: Marks = MARKDOWN) -> list[Splice]:
    """The splices by which `text` has the block; none if it has. Raises `EditError`: `unreadable`, `twice`."""
    newline = "\r\n" if "\r\n" in text else "\n"
    made = newline.join([marks.begin, *block.strip("\n").split("\n"), marks.end])
    place = _place(text, marks)
    if place is not None:
        start, end = place
        old = text[start:end]
        return [] if _lines(old) == _lines(made) else [Splice(start, old, made)]
    gap = "" if not text else newline if text.endswith(("\n", "\r")) else newline * 2
    return [Splice(len(text), "", f"{gap}{made}{newline}")]


def found(text: str, marks: Marks = MARKDOWN) -> str:
    """The block that is there, its marks included; "" where none is. Raises what `put` raises."""
    place = _place(text, marks)
    return "" if place is None else "\n".join(_lines(text[place[0] : place[1]]))


def drop(text: str, marks: Marks = MARKDOWN) -> list[Splice]:
    """The splices by which `text` has no block; none if it has none. Raises what `put` raises."""
    place = _place(text, marks)
    if place is None:
        return []
    start, end = place
    before = re.search(r"(\r?\n)?\Z", text[:start])  # the empty line that parted it from what is above
    after = re.compile(r"\r?\n").match(text, end)
    start, end = before.start() if before else start, after.end() if after else end
    return [Splice(start, text[start:end], "")]


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _place(text: str, marks: Marks) -> tuple[int, int] | None:
    """Where the block stands, its marks included."""
    begins, ends = ([found.start() for found in re.finditer(re.escape(mark), text)] for mark in marks)
    if not begins and not ends:
        return None
    if len(begins) > 1 or len(ends) > 1:
        raise EditError("twice", name=marks.begin)
    if not begins or not ends or ends[0] < begins[0]:
        at = (begins or ends)[0]
        raise EditError("unreadable", line=text.count("\n", 0, at) + 1)
    return begins[0], ends[0] + len(marks.end)
