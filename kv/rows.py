"""Texts that others wrote, in the rows of a person's terminal.

Rules of this file
- A line that the terminal wraps by itself goes on at its left edge, where kv's own lines begin: an agent could fill
  one with blanks or letters and go on as another line of kv's. So runs of blanks are one blank, and every line is
  wrapped here, to rows that begin with blanks and `MARK`, which no text from elsewhere has.
- Pure, standard library only.
"""

from __future__ import annotations

from kv.errors import clean

MARK = "│"
_NARROWEST = 24  # columns: room for a word beside the indent


def tidy(text: str, limit: int = 200) -> str:
    """`clean`, with one blank for any number, and without the mark that kv's own lines go on with."""
    return clean(" ".join(clean(text, limit=len(text) + 8).split()).replace(MARK, "|"), limit=limit)


def usable(width: int) -> int:
    """The columns of a terminal that are filled: the last stays free, for some begin a row when it is filled."""
    return max(width, _NARROWEST) - 1


def wrapped(text: str, width: int, *, indent: str = "", under: str = "") -> list[str]:
    """`text` in rows of at most `width` columns, the first behind `indent`, the others behind `under` and the mark.

    Broken at blanks where there are some.
    """
    found: list[str] = []
    while True:
        room, at = width - len(indent), 0
        while at < len(text) and room >= (one := columns(text[at])):
            room, at = room - one, at + 1
        if at == len(text):
            return [*found, indent + text]
        blank = text.rfind(" ", at // 2, at + 1)
        at = blank + 1 if blank > 0 else at
        found.append((indent + text[:at]).rstrip())
        text, indent = text[at:].lstrip(), f"{under}{MARK} "


def columns(text: str) -> int:
    """Columns that `text` takes at most: outside ASCII terminals differ on one and two, so it counts two."""
    return sum(1 if c.isascii() else 2 for c in text)
