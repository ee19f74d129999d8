"""How the AI clients of this machine stand: what each is told of kv, row by row, and what a person has yet to do.

Rules of this file
- Looking changes nothing, starts no client, and needs no keeper.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kv.cli import tui
from kv.errors import KvError, clean
from kv.paths import default_vault, state_folder
from kv.similar import similar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from editor_setup.client import Client, Places
    from editor_setup.setup import Change, Wanted

_PATH = 1000  # characters of a path that are shown
_LINE = 1000  # and of a line of other people's settings


class Row(NamedTuple):
    """One thing that a client is told, or a step that a person takes, and how it stands.

    `ok`; `missing`; `outdated`, we wrote it and would write it otherwise now; `altered`, somebody else wrote it;
    `broken`, the file is not understood; `untrusted`, the client waits for a person's consent. `why` of the last two.
    `diff` are the lines that setup writes and takes out, once somebody is to see them.
    """

    client: Client
    scope: str
    what: str
    path: Path
    standing: str
    why: str = ""
    change: Change | None = None
    diff: tuple[str, ...] = ()

    def with_diff(self) -> Row:
        """The same, with what is to be written. Raises `EditError`."""
        lines = self.change.diff() if self.change else ()
        return self._replace(diff=tuple(clean(line.expandtabs(4), limit=_LINE) for line in lines))

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "client": self.client.name,
            "scope": self.scope,
            "what": self.what,
            "file": str(self.path),
            "standing": self.standing,
            **({"why": self.why} if self.why else {}),
            **({"diff": self.diff} if self.diff else {}),
        }


class Asked(NamedTuple):
    """What is asked for: the vault that clients are to reach, the scope, and what besides the entry they get."""

    vault: str
    scope: str = "user"
    instructions: bool = True
    permissions: bool = True


def shown(path: Path) -> str:
    """A path for a person: the folder that we work in may be named by an agent."""
    return clean(tui.tilde(str(path)), limit=_PATH)


def places(client: Client | None = None) -> Places:
    """Where the clients' paths lead for this user, here; those of `client` also by its environment variables."""
    from editor_setup.client import Places

    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    found = Places(home, config, folder(), sys.platform)
    return found if client is None else found.of(client, os.environ)


def folder() -> Path:
    """The folder that we work in; home, where that is gone by now."""
    try:
        return Path.cwd()
    except OSError:
        return Path.home()


def _meant(name: str) -> str:
    """` (did you mean 'vscode'?)`: by a name, title or command that is near, or is part of what was typed."""
    from editor_setup import catalogue

    spellings = {
        _plain(each): client.name
        for client in map(catalogue.load, catalogue.names())
        for each in (*client.programs, client.title, client.name)
    }
    parts = [each for each in spellings if each in _plain(name)]
    return similar(spellings.get(max(parts, key=len, default=""), name), catalogue.names())


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def chosen(names: list[str], also: set[str] | None = None) -> list[Client]:
    """The clients of those names; without any, those that are here, and those of `also`. Raises `KvError("usage")`."""
    from editor_setup import catalogue
    from editor_setup.setup import is_here

    for name in names:
        if name not in catalogue.names():
            why = f"kv knows no such client{_meant(name)}; kv setup --help names them"
            raise KvError("usage", why=why)
    where = places()
    known = map(catalogue.load, names or catalogue.names())
    always = {*names, *(also or ())}
    return [client for client in known if client.name in always or is_here(client, where, shutil.which)]


def rows(client: Client, asked: Asked, written: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """How a client stands; `written` is what was left where, as `receipts` has it."""
    from editor_setup.setup import changes

    where = places(client)
    found = [
        _row(client, asked.scope, change, written) for change in changes(client, asked.scope, where, wanted(asked))
    ]
    if any(row.what == "server" and row.standing != "missing" for row in found):
        found += _consent(client, asked.scope, where)
    return found


def wanted(asked: Asked) -> Wanted:
    """What a client is to be told."""
    from editor_setup.setup import Wanted

    text, skill = (
        (files("kv") / name).read_text(encoding="utf-8") if asked.instructions else ""
        for name in ("instructions.md", "skill.md")
    )
    default = os.path.realpath(default_vault())
    env = {} if asked.vault == default else {"KV_VAULT": asked.vault}
    ours = os.path.dirname(asked.vault) if asked.vault == default else f"{asked.vault}.d"
    private = (Path(ours), Path(state_folder())) if asked.permissions else ()
    return Wanted(argv(), env, text, skill, private)


def argv() -> tuple[str, ...]:
    """How a client starts `kv mcp`: by an absolute path, as some pass on no PATH."""
    beside = Path(sys.executable).parent / "kv"
    return (str(beside), "mcp") if beside.exists() else (sys.executable, "-m", "kv", "mcp")


def _row(client: Client, scope: str, change: Change, written: Mapping[str, Mapping[str, str]]) -> Row:
    from editor_setup.contract import EditError

    row = Row(client, scope, change.what, change.path, "broken", change=change)
    try:
        return row._replace(standing=change.standing(written.get(str(change.path), {})))
    except EditError as error:
        return row._replace(why=error.message)


def _consent(client: Client, scope: str, where: Places) -> Iterator[Row]:
    """The steps that leave a sign; of the others nobody can tell."""
    from editor_setup.contract import EditError
    from editor_setup.setup import is_taken, steps

    for step in steps(client, scope):
        if step.taken:
            row = Row(client, scope, "consent", where.file(step.taken[0].files), "ok")
            try:
                yield row if is_taken(step, where) else row._replace(standing="untrusted", why=step.say)
            except EditError as error:
                yield row._replace(standing="broken", why=error.message)
