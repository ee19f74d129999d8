"""One client, told of one MCP server: in which files, by what, and how each of them stands.

Rules of this file
- Looking changes nothing; `Change.put` and `Change.drop` are handed to `receipt`, which writes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from editor_setup import block, files, jsonc
from editor_setup.catalogue import of_platform
from editor_setup.contract import Splice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from editor_setup.catalogue import Client, Places

SERVER, INSTRUCTIONS = "server", "instructions"


class Wanted(NamedTuple):
    """What a client is to be told: how the server is started, and a text for its model ("" for none)."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    text: str


class Change(NamedTuple):
    """One thing in one file: `put` makes it so, `drop` takes it out."""

    what: str
    path: Path
    put: Callable[[str], list[Splice]]
    drop: Callable[[str], list[Splice]]

    def standing(self) -> str:
        """`current`, `absent`, or `other` where it is there and is something else. Raises `EditError`."""
        text = files.read(self.path) or ""
        if not self.put(text):
            return "current"
        return "other" if self.drop(text) else "absent"

    def diff(self) -> list[str]:
        """What `put` would change: a line that says where, then lines with `-` and `+`. Raises `EditError`.

        No line of the file beside ours: another program's key may stand there, and this is shown to whoever asks.
        """
        text = files.read(self.path) or ""
        found: list[str] = []
        for start, old, new in self.put(text):
            if new != ",":  # behind the neighbour before
                found.append(f"@@ line {text.count(chr(10), 0, start) + 1} @@")
                found += [f"-{line}" for line in old.strip().splitlines()]
                found += [f"+{line}" for line in new.removeprefix(",").strip("\r\n").splitlines()]
        return found


def is_here(client: Client, places: Places, which: Callable[[str], str | None]) -> bool:
    """Whether the client is installed, as far as its command or its folder tells."""
    folders = (places.path(each) for each in of_platform(client.folders, places.platform))
    return any(map(which, client.programs)) or any(each.is_dir() for each in folders)


def changes(client: Client, scope: str, places: Places, wanted: Wanted) -> list[Change]:
    """What it takes to tell a client in a scope; nothing of what it does not have there."""
    found: list[Change] = []
    if server := client.servers.get(scope):
        path = _file(server.files, places)
        value = server.value(wanted.argv, wanted.env)
        put, drop = partial(jsonc.put, path=server.path, value=value), partial(jsonc.drop, path=server.path)
        found.append(Change(SERVER, path, put, drop))
    if wanted.text and (instructions := client.instructions.get(scope)):
        path, text = _file(instructions.files, places), instructions.head + wanted.text
        if instructions.own:
            found.append(Change(INSTRUCTIONS, path, partial(_whole, text), partial(_whole, "")))
        else:
            found.append(Change(INSTRUCTIONS, path, partial(block.put, block=text), block.drop))
    return found


def _file(names: Mapping[str, tuple[str, ...]], places: Places) -> Path:
    """The one of a file's names that is there, else the usual one."""
    paths = [places.path(each) for each in of_platform(names, places.platform)]
    return next((path for path in paths if path.exists()), paths[0])


def _whole(wanted: str, text: str) -> list[Splice]:
    """A file of our own: all of it."""
    return [] if text == wanted else [Splice(0, text, wanted)]
