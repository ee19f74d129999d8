"""The programs of `kv run` that are under way: noted beside the vault, so that `kv panic` finds them after a lock, too.

Rules of this file
- Standard library only: the keeper notes them, the command line ends them.
- A program is a pid and its start time (clock ticks since boot, proc(5)): a number given out again is another's.
- Any program of the same user can change the note; it can end these programs as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX = 1 << 16  # bytes: a keeper starts a program only while there are few


class Running(NamedTuple):
    """A program under way."""

    pid: int
    start: int


def found(pid: int) -> Running | None:
    """The program that has this pid now."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in {b"Z", b"X"} else Running(pid, int(fields[19]))


def note(folder: str, programs: Iterable[Running]) -> None:
    """Write down who runs. A folder that cannot be written is no error: nothing waits for the note."""
    path = _file(folder)
    with contextlib.suppress(OSError):
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump([list(each) for each in programs], file)
        os.replace(f"{path}.new", path)


def noted(folder: str) -> list[Running]:
    """Who of those that were noted still runs."""
    try:
        with open(_file(folder), "rb") as file:
            rows = json.loads(file.read(_MAX))
        listed = [Running(pid, start) for pid, start in rows if type(pid) is type(start) is int and pid > 1]
    except (OSError, TypeError, ValueError, RecursionError):  # a note of somebody else's
        return []
    return [each for each in listed if found(each.pid) == each]


def end(folder: str) -> None:
    """End them all. What they started is ended by their runners."""
    for each in noted(folder):
        with contextlib.suppress(OSError):
            os.kill(each.pid, signal.SIGKILL)


def _file(folder: str) -> str:
    return os.path.join(folder, "runs")
