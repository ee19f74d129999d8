"""A terminal window: bash with job control on a pseudo-terminal, and the screen as its user sees it."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Protocol, Self

import pexpect
import pyte
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ROWS, COLUMNS = 24, 80
SECONDS = 20.0
QUIET = 0.1  # seconds without output after which a screen is taken to be drawn
KV = f"{sys.executable} -m kv run --secret KEY --"


Cell = tuple[str, str, str, bool, bool]


class Screen:
    """A shell in a window. `r COMMAND` runs a command, directly or, `through`, by kv: the same words for the eye."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, through: bool) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        variables = {**environment, "PS1": "$ ", "TERM": "linux", "LC_ALL": "C.UTF-8", "HISTFILE": ""}
        self.process = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "-i"],
            env=variables,
            cwd=str(folder),
            dimensions=(ROWS, COLUMNS),
        )
        script = folder / "r"
        script.write_text(f'#!/bin/sh\nexec {KV if through else ""} "$@"\n')
        script.chmod(0o755)
        self.type(f"PATH={folder}:$PATH; bind 'set enable-bracketed-paste off'; stty -echoctl; clear\n")
        self.until(lambda lines: lines[0] == "$" and not any(lines[1:]))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the window."""
        self.process.close(force=True)

    def run(self, line: str) -> int:
        """Type a line and wait for the prompt after it; the status that the shell has then."""
        self.type(f"{line}\n")
        self.until(lambda lines: any("r " in one for one in lines) and [*filter(None, lines)][-1] == "$")
        self.type("echo =$?=\n")
        self.until(lambda lines: any(re.fullmatch(r"=\d+=", one) for one in lines))
        status = next(one for one in reversed(self.lines) if re.fullmatch(r"=\d+=", one))
        self.type("clear\n")
        self.until(lambda lines: lines[0] == "$" and not any(lines[1:]))
        return int(status.strip("="))

    def type(self, keys: str) -> None:
        """Press keys."""
        self.process.send(keys)

    def read(self, seconds: float = 0.02) -> bool:
        """Take what has come; whether there was something."""
        try:
            data = self.process.read_nonblocking(1 << 16, seconds)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self._stream.feed(data.encode() if isinstance(data, str) else data)  # the stubs know of text alone
        return True

    @property
    def lines(self) -> list[str]:
        """The screen, without blanks at the ends of its lines."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def looks(self) -> list[list[Cell]]:
        """Every cell: character, colours, bold, reverse."""
        cells = [[self._screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]
        return [[(c.data, c.fg, c.bg, c.bold, c.reverse) for c in row] for row in cells]

    def until(self, true: Callable[[list[str]], bool], seconds: float = SECONDS) -> None:
        """Wait until the screen is so."""
        end = time.monotonic() + seconds
        while not true(self.lines):
            self.read()
            if time.monotonic() > end:
                pytest.fail("\n".join(self.lines))

    def draws_as(self, other: Screen) -> None:
        """Wait until both windows show the same, colours and all, and no more is drawn in either."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            drawn = [screen.read(QUIET) for screen in (self, other)]
            if not any(drawn) and self.looks == other.looks:
                return
        assert self.lines == other.lines
        assert self.looks == other.looks

    def shows(self, text: str, seconds: float = SECONDS) -> None:
        """Wait until `text` is somewhere on the screen; `$` is the shell's prompt, alone on its line."""
        self.until(lambda lines: any(line == text if text == "$" else text in line for line in lines), seconds)

    def rest(self) -> None:
        """Wait until nothing more is drawn."""
        while self.read(QUIET):
            pass

    def resize(self, rows: int, columns: int) -> None:
        """As its user drags the window."""
        self._screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)


class Window(Protocol):
    """Opens a window."""

    def __call__(self, *, through: bool = True, below: Path = ...) -> Screen:
        """See `Screen`."""
