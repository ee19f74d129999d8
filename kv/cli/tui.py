"""The voice: how kv speaks to people, and everything that is printed.

Rules of this file
- Results go to stdout, everything else to stderr; questions go to the terminal itself (`kv.cli.terminal`).
- Short lines, lower case, no full stop at the end of a line, no exclamation mark, no banner. Nothing scrolls that
  nobody needs. An error says what, why, and what to do (`kv.__main__` prints those).
- Names may be printed, values never: no function here is given one.
- What an agent or the other side wrote is cleaned first, quoted as theirs, and begins no row (`kv.rows`).
- Colour carries no meaning of its own, and appears on a terminal only (never with NO_COLOR or --no-color).
- `--json` prints one document and nothing else on stdout.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from kv.hot.result import counted, note, print_json
from kv.hot.status import span, tilde, times
from kv.rows import tidy, usable, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

__all__ = ["ago", "beside", "counted", "note", "print_json", "say", "span", "styled", "table", "tilde", "times", "warn"]

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_CELL = 200  # characters: a title or note; longer ones keep head and tail


def say(text: str = "", out: TextIO | None = None) -> None:
    """A line of the result; `out` is where, if not on stdout."""
    print(text, file=out)


def width() -> int:
    """The columns of the terminal that results go to; 0 where they go elsewhere."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        return 0


def beside(text: str, left: int) -> list[str]:
    """`text` in the rows that a terminal has for it beside `left` columns; whole where there is no terminal."""
    columns = width()
    return wrapped(text, usable(columns - left)) if columns else [text]


def warn(text: str) -> None:
    """A line that a person should see even when stdout goes elsewhere."""
    print(f"kv: warning: {text}", file=sys.stderr, flush=True)


def styled(text: str, style: str) -> str:
    """`text` in a style, on a terminal that takes colours."""
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def table(rows: Iterable[Sequence[object]], *, indent: int = 0) -> None:
    """Rows in aligned columns, two spaces between; the last column runs free. Every cell is tidied."""
    cells = [[tidy(str(cell), _CELL) for cell in row] for row in rows]
    columns = width()
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    for row in cells:
        line = "  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True))
        line = " " * indent + line.rstrip()
        for each in wrapped(line, usable(columns), under=" " * (indent + 4)) if columns else [line]:
            print(each)


def ago(seconds: object) -> str:
    """A wall-clock time as a date, or as a time of day if it is today's."""
    if not isinstance(seconds, int | float):
        return "-"
    then, now = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%Y-%m-%d", then)
