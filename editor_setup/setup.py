"""One client, told of one MCP server: in which files, by what, and how each of them stands.

Rules of this file
- Looking changes nothing; the edits of a `Change` are handed to `receipt`, which writes.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from editor_setup import edits, files
from editor_setup.client import is_there, of_platform
from editor_setup.contract import ABSENT, at, spliced, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from editor_setup.client import Client, Instructions, Permissions, Places, Server, Step
    from editor_setup.edits import Edit

SERVER, INSTRUCTIONS, SKILL, PERMISSIONS = "server", "instructions", "skill", "permissions"

# How a change stands. `altered`: what is there is not what was written, so somebody else changed it.
OK, MISSING, OUTDATED, ALTERED = "ok", "missing", "outdated", "altered"


class Wanted(NamedTuple):
    """What a client is to be told: how the server is started, and texts for its model ("" for none).

    `private` are the folders that its own tools shall not touch, absolute; without any, no rules are wanted.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    text: str = ""
    skill: str = ""
    private: tuple[Path, ...] = ()


class Change(NamedTuple):
    """One thing in one file, by one edit or several."""

    what: str
    path: Path
    edits: tuple[Edit, ...]

    def standing(self, written: Mapping[str, str]) -> str:
        """How it stands; `written` is what `digests` gave when it was written, if ever. Raises `EditError`."""
        text = files.read(self.path) or ""
        wrong = [edit for edit in self.edits if edit.made(text)]
        if not wrong:
            return OK
        files.require_writable(self.path)
        there = [edit for edit in wrong if edit.found(text)]
        if any(written.get(edit.key) != _digest(edit.found(text)) for edit in there):
            return ALTERED
        ours = [edit for edit in self.edits if edit not in wrong and edit.key in written]
        return OUTDATED if there or ours else MISSING

    def is_there(self) -> bool:
        """Whether anything of it is in the file, whoever wrote it. Raises `EditError`."""
        text = files.read(self.path) or ""
        return any(edit.found(text) for edit in self.edits)

    def digests(self) -> dict[str, str]:
        """What is there of each edit, as a digest."""
        text = files.read(self.path) or ""
        return {edit.key: _digest(edit.found(text)) for edit in self.edits}

    def diff(self) -> list[str]:
        """What the edits would change: a line that says where, then lines with `-` and `+`. Raises `EditError`.

        No line of the file beside ours: another program's key may stand there, and this is shown to whoever asks.
        """
        text = files.read(self.path) or ""
        found: list[str] = []
        for edit in self.edits:
            splices = edit.made(text)
            for start, old, new in splices:
                if new != ",":  # behind the neighbour before
                    found.append(f"@@ line {text.count(chr(10), 0, start) + 1} @@")
                    found += [f"-{line}" for line in old.strip().splitlines()]
                    found += [f"+{line}" for line in new.removeprefix(",").strip("\r\n").splitlines()]
            text = spliced(text, splices)
        return found

    def pasted(self) -> str:
        """What stands in a file that has nothing else: for a person to put in by hand."""
        text = ""
        for edit in self.edits:
            text = spliced(text, edit.put(text))
        return text


def is_here(client: Client, places: Places, which: Callable[[str], str | None]) -> bool:
    """Whether the client is installed, as far as its command or its folder tells."""
    folders = (places.path(each) for each in of_platform(client.folders, places.platform))
    return any(map(which, client.programs)) or any(map(is_there, folders))


def changes(client: Client, scope: str, places: Places, wanted: Wanted) -> list[Change]:
    """What it takes to tell a client in a scope; nothing of what it does not have there."""
    found: list[Change] = []
    if server := client.servers.get(scope):
        path = places.file(server.files)
        found.append(Change(SERVER, path, (_server(server, path, wanted),)))
    if (permissions := client.permissions.get(scope)) and wanted.private:
        path = places.file(permissions.files)
        found.append(Change(PERMISSIONS, path, tuple(_rules(permissions, path, places, wanted.private))))
    if wanted.text and (instructions := client.instructions.get(scope)):
        found += _instructions(instructions, places, wanted.text)
    if wanted.skill and (names := client.skills.get(scope)):
        found.append(Change(SKILL, places.file(names), (edits.whole(wanted.skill),)))
    return found


def _server(server: Server, path: Path, wanted: Wanted) -> Edit:
    value = server.value(wanted.argv, wanted.env)
    if server.own:
        return edits.whole(edits.written(path, value))
    return edits.member(path, server.path, value, server.keep)._replace(existing=server.existing)


def _instructions(instructions: Instructions, places: Places, text: str) -> Iterator[Change]:
    path = places.file(instructions.files)
    whole = edits.whole(instructions.head + text)
    yield Change(INSTRUCTIONS, path, (whole if instructions.own else edits.marked(text),))
    if listed := instructions.listed:
        file = places.file(listed.files)
        steps = [each.replace("{file}", str(path)) for each in listed.path]
        yield Change(INSTRUCTIONS, file, (edits.member(file, steps, str(step(steps[-1]))),))


def _rules(permissions: Permissions, path: Path, places: Places, private: Sequence[Path]) -> Iterator[Edit]:
    """Of rules nobody can say whose they are, so none is taken out that was there before."""
    if permissions.text:
        patterns = "|".join(re.escape(str(each)) for each in private)
        yield edits.whole(permissions.text.replace("{patterns}", patterns))
    if permissions.patterns:
        yield edits.patterns(permissions.patterns)
    for rule in permissions.rules:
        for each in dict.fromkeys(rule.replace("{private}", _below_home(folder, places)) for folder in private):
            yield edits.member(path, (*permissions.path, f"[={each}]"), each, ours=False)
    for name, value in permissions.members.items():
        yield edits.member(path, (*permissions.path, name), value, ours=False)


def _below_home(folder: Path, places: Places) -> str:
    """A folder in the form that the clients' rules have for one: `~/…`, or `//…` where it is elsewhere."""
    return f"~/{folder.relative_to(places.home)}" if folder.is_relative_to(places.home) else f"/{folder}"


def steps(client: Client, scope: str) -> list[Step]:
    """What a person has to do themselves in a scope."""
    return [each for each in client.steps if scope in each.scopes]


def is_taken(wanted: Step, places: Places) -> bool:
    """Whether a step that leaves a sign was taken. Raises `EditError`."""
    for sign in wanted.taken:
        path = places.file(sign.files)
        text = files.read(path)
        data = edits.format_of(path).find(text, ()) if text else ABSENT
        for folder in (places.project, *places.project.parents):
            there = at(data, [each.replace("{project}", str(folder)) for each in sign.path])
            if there is not ABSENT and (sign.value is None or there == sign.value):
                return True
    return False


def servers(client: Client, scope: str, places: Places) -> dict[str, object]:
    """The MCP servers that a client has in a scope, by name, with their entries. Raises `EditError`."""
    server = client.servers.get(scope)
    text = files.read(places.file(server.files)) if server else None
    if server is None or not text or server.own:
        return {}
    data = edits.format_of(places.file(server.files)).find(text, ())
    found: dict[str, object] = {}
    for path in (server.path[:-1], *server.others):
        there = at(data, [each.replace("{project}", str(places.project)) for each in path])
        if isinstance(there, list):
            there = {str(each.get("name")): each for each in there if isinstance(each, dict)}
        found |= there if isinstance(there, dict) else {}
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
