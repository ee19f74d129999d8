"""Listeners that were found on a socket and are not the keeper: noted beside the vault, for the audit's next writer.

Rules of this file
- Standard library only: the client that finds one notes it, the keeper that runs or comes next makes it an alarm.
- A note is small, the same one is not made twice, and there are only so many: who polls fills nothing.
- Any program of the same user can remove a note, as it can the audit (SECURITY.md).
"""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

_MAX = 4096  # bytes of all notes: some forty
_EXE_MAX = 64


class Stranger(NamedTuple):
    """A process that listened on the socket of a keeper. `exe` is a basename: a label."""

    socket: str
    pid: int
    uid: int
    exe: str


def note(folder: str, socket: str, pid: int, uid: int) -> None:
    """Note a listener. A folder that cannot be written is no error: what is refused stays refused."""
    line = f"{socket}\t{pid}\t{uid}\t{_exe(pid)}\n".encode()
    with contextlib.suppress(OSError):
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(_file(folder), flags, 0o600)
        try:
            before = os.read(descriptor, _MAX)
            if line not in before and len(before) + len(line) <= _MAX:
                os.write(descriptor, line)
        finally:
            os.close(descriptor)


def noted(folder: str) -> list[Stranger] | None:
    """Who was found since the notes were last forgotten; None for no notes. A line that is none is left out."""
    try:
        descriptor = os.open(_file(folder), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return []
    try:
        lines = os.read(descriptor, _MAX).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    finally:
        os.close(descriptor)
    rows = [line.split("\t") for line in lines]
    return [
        Stranger(socket, int(pid), int(uid), exe[:_EXE_MAX])
        for socket, pid, uid, exe in (row for row in rows if len(row) == len(Stranger._fields))
        if socket in {"agent", "kv"} and _is_number(pid) and _is_number(uid)
    ]


def forget(folder: str) -> None:
    """They are in the audit."""
    with contextlib.suppress(OSError):
        os.unlink(_file(folder))


def gone(pid: int) -> bool:
    """Whether the process is no more, or about to end: a keeper that locks lets go of its lock before its socket."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] in {b"Z", b"X"}
    except OSError:
        return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10  # noqa: PLR2004 - digits of 32 bits


def _exe(pid: int) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).replace("\t", " ").replace("\n", " ")[:_EXE_MAX]
    except OSError:
        return ""


def _file(folder: str) -> str:
    return os.path.join(folder, "strangers")
