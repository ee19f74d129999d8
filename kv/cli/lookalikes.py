"""For `kv doctor`: whether what clients start and what a person types is this program, and no other of its name.

Rules of this file
- It reads files. No other server is started to see what it offers: its name and its command are what there is.
- Of a file's text nothing is shown but names, and the number of a line.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kv.cli import receipts
from kv.cli.finding import Finding
from kv.cli.told import Asked, argv, chosen, folder, places, rows, shown
from kv.errors import KvError
from kv.rows import tidy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from editor_setup.client import Client
    from kv.cli.options import Options

_NAMED = re.compile(r"kv(?:[_-].*)?", re.IGNORECASE)
_STARTS = (
    *(".bashrc", ".bash_profile", ".bash_login", ".bash_aliases", ".profile", ".zshrc", ".zshenv", ".zprofile"),
    *(".zlogin", ".kshrc", ".config/fish/config.fish"),
)
_ALIAS = re.compile(
    r"\s*(?:alias\s+(?:-\w\s+)*kv[=\s]|function\s+kv\b|kv\s*\(\s*\)|abbr\b.*\skv\b|hash\s+-p\s.*\skv\b)"
)
_BY_NAME = "judged by name and command: none is started to see whether it offers kv_* tools"
_MAX_BYTES = 1 << 20  # of a shell's start file


def _scopes() -> tuple[str, ...]:
    """A home is no project: what is a project's elsewhere is the user's there."""
    return ("user",) if folder() == Path.home() else ("user", "project")


def told_clients(options: Options) -> Iterator[Finding]:
    """How the clients stand that were told of kv."""
    try:
        told, written = receipts.told(), receipts.written()
    except KvError as error:
        yield Finding("note", "clients", f"{error.message}; {error.hint}")
        return
    asked = [Asked(options.path, scope) for scope in _scopes()]
    clients = chosen(sorted(told)) if told else []
    found = [row for client in clients for each in asked for row in rows(client, each, written)]
    theirs = [row for row in found if str(row.path) in written or row.standing == "untrusted"]
    for row in theirs:
        again = f"kv setup {row.client.name}{' --scope project' if row.scope == 'project' else ''}"
        where = f"{row.client.title}: {row.what} in {shown(row.path)}"
        if row.standing == "altered":
            yield Finding("bad", "clients", f"{where} is not what kv setup wrote; {again} shows it, and repairs it")
        elif row.standing == "untrusted":
            yield Finding("note", "clients", f"{row.client.title} waits for your consent: {row.why}")
        elif row.standing != "ok":
            why = f" ({row.why})" if row.why else ""
            yield Finding("note", "clients", f"{where} is {row.standing}{why}; {again} repairs it")
    if theirs and all(row.standing == "ok" for row in theirs):
        names = sorted({row.client.title for row in theirs})
        yield Finding("good", "clients", f"{', '.join(names)}: as kv setup left them")


def other_servers(options: Options) -> Iterator[Finding]:
    """MCP servers that go by kv's name, or start a program of that name, and are not this one."""
    try:
        written = receipts.written()
    except KvError:
        written = {}  # `told_clients` says so; what kv wrote is then known by what it would write
    asked = [Asked(options.path, scope) for scope in _scopes()]
    found = [finding for client in chosen([]) for each in asked for finding in _servers(client, each, written)]
    if found:
        yield from found
    else:
        yield Finding("good", "servers", f"none of your AI clients has another that goes by kv's name; {_BY_NAME}")


def _servers(client: Client, asked: Asked, written: dict[str, dict[str, str]]) -> Iterator[Finding]:
    from editor_setup.contract import EditError
    from editor_setup.setup import servers

    try:
        found = servers(client, asked.scope, places(client))
    except EditError:
        return  # `kv setup --check` says so
    ours = any(row.what == "server" and row.standing in {"ok", "outdated"} for row in rows(client, asked, written))
    file = shown(places(client).file(client.servers[asked.scope].files)) if found else ""
    for name, entry in found.items():
        if name == "kv" and ours:
            continue
        where = f"{client.title}: '{tidy(name, 60)}' in {file}"
        mend = "remove it unless you put it there"
        if name.lower() == "kv":
            yield Finding("bad", "servers", f"{where} starts another program under the name of kv; {mend} ({_BY_NAME})")
        elif _NAMED.fullmatch(name) or _starts_kv(entry):
            yield Finding("note", "servers", f"{where} could be taken for kv; {mend} ({_BY_NAME})")


def _starts_kv(entry: object) -> bool:
    """Whether a server's command is a program called kv."""
    inner = entry.get("transport", entry) if isinstance(entry, dict) else None
    command = inner.get("command", inner.get("cmd")) if isinstance(inner, dict) else None
    first = command[0] if isinstance(command, list) and command else command
    return isinstance(first, str) and os.path.basename(first) == "kv"


def on_path(_: Options) -> Iterator[Finding]:
    """A `kv` before the one that clients start: what a person types is then another program."""
    first, configured = shutil.which("kv"), argv()[0]
    if first is not None and os.path.realpath(first) != os.path.realpath(configured):
        text = f"'kv' is {first}, and clients start {configured}: remove the one that is not yours, or mend PATH"
        yield Finding("bad", "PATH", text)


def aliases(_: Options) -> Iterator[Finding]:
    """Aliases and functions of a person's shells."""
    home = Path.home()
    for name in _STARTS:
        for number in _lines(home / name):
            text = f"~/{name} line {number} makes 'kv' something else: what you type there is not kv; remove the line"
            yield Finding("bad", "shell", text)
    function = home / ".config" / "fish" / "functions" / "kv.fish"
    if os.path.lexists(function):
        yield Finding("bad", "shell", f"{shown(function)} makes 'kv' something else; remove it")


def _lines(path: Path) -> list[int]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_BYTES)
    except OSError:
        return []
    return [number for number, line in enumerate(text.splitlines(), 1) if _ALIAS.match(line)]
