"""Where a value comes from: a hidden prompt, standard input on request, or a file. Never an argument.

Rules of this file
- One newline at the end of a value that has no other is dropped: `echo` and editors add it, and no key ends in one.
  A value of several lines (a PEM key) is kept byte for byte.
- The bound is checked while reading: a wrong file is not read to its end.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from kv.cli.terminal import Terminal, Typed
from kv.cli.tui import note
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 1 << 20
_TERMINAL_LINE = 4095  # bytes: what a terminal's line holds; the kernel drops the rest without a word


def check_arguments(name: str, extra: Sequence[str], *, stdin: bool, file: str | None) -> None:
    """Raise `KvError("value-argument")` for `NAME=VALUE` or anything after the name; `usage` for two sources."""
    if extra or "=" in name:
        note("it is in your shell's history now: treat this value as leaked and replace it")
        raise KvError("value-argument")
    if stdin and file is not None:
        raise KvError("usage", why="give --stdin or --file, not both")
    if stdin and sys.stdin.isatty():
        raise KvError("usage", why="--stdin takes a pipe or a file; without it the value is asked for hidden")


def read_value(name: str, *, stdin: bool, file: str | None, proof: bool) -> Typed:
    """The value for `name`. `proof`: one comes by descriptor, so without a terminal only the value is missing.

    Raises `KvError`: `no-terminal`, `disk`, `value-size`, `usage`.
    """
    if stdin:
        return _trimmed(sys.stdin.buffer.read(MAX_BYTES + 1))
    if file is not None:
        return _trimmed(read_file(file))
    terminal = Terminal.available()
    if terminal is None and not proof:
        raise KvError("no-terminal")
    if terminal is None:
        raise KvError("usage", why="there is no terminal to ask for the value on: give --stdin or --file PATH")
    with terminal:
        typed = terminal.ask_hidden(f"{name} (hidden): ")
    if len(typed) >= _TERMINAL_LINE:
        raise KvError("usage", why="a terminal's line ends at 4095 bytes: give a longer value by --file or --stdin")
    return _checked(typed)


def read_file(path: str) -> bytes:
    """At most `MAX_BYTES` + 1 bytes of a file. Raises `KvError("disk")`."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KvError("disk", act="read", path=path, why=os.strerror(error.errno or 0)) from None


def _trimmed(data: bytes) -> Typed:
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    return _checked(Typed(data if b"\n" in line else line))


def _checked(typed: Typed) -> Typed:
    if not 1 <= len(typed) <= MAX_BYTES:
        raise KvError("value-size")
    return typed
