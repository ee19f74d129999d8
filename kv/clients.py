"""Which program drives an agent, told by executable and arguments: `clients.toml` is the list.

Rules of this file
- Standard library only; the keeper and the command line read the same list.
- A match is a label, and a reason to refuse a prompt. Nothing here may ever grant something.
- The environment is not looked at: children inherit its markers, and anyone can set them.
"""

from __future__ import annotations

import os
import pathlib
from functools import cache
from typing import NamedTuple

_RUNTIMES = ("node", "bun", "deno", "python", "pypy", "electron", "MainThread")
_MAX_DEPTH = 64  # ancestors; real chains are below 20
_MAX_WORDS = 8  # arguments of a runtime that are looked at
_MAX_ARGUMENTS = 4096  # bytes of /proc/PID/cmdline: the script's name stands at its beginning


class Client(NamedTuple):
    """A row of `clients.toml`."""

    key: str
    label: str
    exe: frozenset[str]
    script: frozenset[str]
    within: tuple[str, ...]
    editor: bool


@cache
def clients() -> tuple[Client, ...]:
    """The rows, in the file's order: the first match counts."""
    import tomllib

    with open(os.path.join(os.path.dirname(__file__), "clients.toml"), "rb") as file:
        rows = tomllib.load(file)
    return tuple(
        Client(
            key,
            row["label"],
            frozenset(row.get("exe", ())),
            frozenset(row.get("script", ())),
            tuple(row.get("within", ())),
            row.get("editor", False),
        )
        for key, row in rows.items()
    )


def known_client(exe: str, argv: list[str]) -> tuple[str, str] | None:
    """`(key, label)` of the client that a process with this executable and these arguments is, or None."""
    found = _match(exe, argv)
    return None if found is None else (found.key, found.label)


def _match(exe: str, argv: list[str]) -> Client | None:
    # An executable that was updated while it runs reads "/path/claude (deleted)" (proc(5)).
    names = {_base(exe.removesuffix(" (deleted)")), _base(argv[0]) if argv else ""}
    runtime = any(name.startswith(_RUNTIMES) for name in names)
    words = [argument for argument in argv[1:_MAX_WORDS] if not argument.startswith("-")] if runtime else []
    for client in clients():
        if names & client.exe or _runs(client, words):
            return client
    return None


def _runs(client: Client, words: list[str]) -> bool:
    """A runtime's first word is its script (`node --expose-gc /…/cli.js`), unless one of its options took it."""
    return bool(words) and (
        _base(words[0]) in client.script or any(piece in word for word in words for piece in client.within)
    )


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def agent_above(pid: int) -> str:
    """The label of the nearest agent among `pid` and its ancestors, or "". Editors are left out: see `clients.toml`."""
    for exe, argv in ancestors(pid):
        found = _match(exe, argv)
        if found is not None and not found.editor:
            return found.label
    return ""


def ancestors(pid: int) -> list[tuple[str, list[str]]]:
    """Executable and arguments of `pid` and of everything above it, as far as /proc tells."""
    chain: list[tuple[str, list[str]]] = []
    while pid > 1 and len(chain) < _MAX_DEPTH:
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_bytes()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                raw = file.read(_MAX_ARGUMENTS)
        except OSError:
            break
        try:
            exe = os.readlink(f"/proc/{pid}/exe")
        except OSError:
            exe = ""  # another user's process: its arguments must do
        chain.append((exe, [os.fsdecode(part) for part in raw.split(b"\0")]))
        # The name in parentheses may hold anything, ')' too: fields are counted from the last one (proc(5)).
        pid = int(stat[stat.rindex(b")") + 2 :].split()[1])
    return chain
