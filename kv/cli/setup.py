"""`kv setup`: tell AI clients of kv, see how they stand, and take every byte back."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from kv.cli import receipts, tui
from kv.cli.keeper import acting
from kv.cli.options import Options, verb
from kv.cli.terminal import Terminal
from kv.errors import FAILED, KvError
from kv.paths import default_vault
from kv.similar import similar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from editor_setup.catalogue import Client, Places
    from editor_setup.setup import Change

_STYLE = {"current": "green", "other": "yellow", "broken": "red"}


class Row(NamedTuple):
    """One change of one client, and how it stands: `current`, `absent`, `other`, or `broken` and why."""

    client: Client
    scope: str
    change: Change
    standing: str
    why: str = ""

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "client": self.client.name,
            "scope": self.scope,
            "what": self.change.what,
            "file": str(self.change.path),
            "standing": self.standing,
            **({"why": self.why} if self.why else {}),
        }


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "setup")(setup)


def setup(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    clients: Annotated[list[str] | None, typer.Argument(metavar="CLIENT", help="Such as claude-code.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every client that is installed.")] = False,
    scope: Annotated[str, typer.Option("--scope", metavar="SCOPE", help="user, or project: this folder.")] = "user",
    instructions: Annotated[
        bool, typer.Option("--instructions/--no-instructions", help="Also a short text for its model.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing but the proof.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take everything back.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Status 1 unless all are as they should be.")] = False,
) -> None:
    """Tell AI clients of kv, or take it back.

    A client gets an MCP entry and a short text for its model. Without names it
    shows which clients are here. What is to be written is shown before; --undo
    takes it back, to the byte where nobody changed the file since.

    \b
      kv setup claude-code
      kv setup --all --dry-run
    """
    if scope not in {"user", "project"}:
        raise KvError("usage", why="--scope is user or project")
    if (dry_run or undo) and not (clients or every):
        raise KvError("usage", why="name the clients, or --all; kv setup --help shows how")
    places = _places()
    chosen = _chosen(clients or [], places)
    rows = [row for client in chosen for row in _rows(options, client, scope, places, instructions=instructions)]
    if check or not (clients or every):
        _show(options, rows, fails=check)
    elif undo:
        _undo(options, rows, yes=yes)
    else:
        _put(options, rows, dry_run=dry_run, yes=yes)


def _places() -> Places:
    from editor_setup.catalogue import Places

    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Places(home, config, Path.cwd(), sys.platform)


def _chosen(names: list[str], places: Places) -> list[Client]:
    """The clients of those names; without any, those that are here."""
    from editor_setup import catalogue
    from editor_setup.setup import is_here

    for name in names:
        if name not in catalogue.names():
            why = f"kv knows no such client{similar(name, catalogue.names())}; it knows {', '.join(catalogue.names())}"
            raise KvError("usage", why=why)
    known = map(catalogue.load, names or catalogue.names())
    return [client for client in known if names or is_here(client, places, shutil.which)]


def _rows(options: Options, client: Client, scope: str, places: Places, *, instructions: bool) -> list[Row]:
    from editor_setup.contract import EditError
    from editor_setup.setup import Wanted, changes

    text = (files("kv") / "instructions.md").read_text(encoding="utf-8") if instructions else ""
    env = {} if options.path == os.path.realpath(default_vault()) else {"KV_VAULT": options.path}
    found = []
    for change in changes(client, scope, places, Wanted(_argv(), env, text)):
        try:
            found.append(Row(client, scope, change, change.standing()))
        except EditError as error:
            found.append(Row(client, scope, change, "broken", error.message))
    return found


def _argv() -> tuple[str, ...]:
    """How a client starts `kv mcp`: by an absolute path, as some pass on no PATH."""
    beside = Path(sys.executable).parent / "kv"
    return (str(beside), "mcp") if beside.exists() else (sys.executable, "-m", "kv", "mcp")


def _show(options: Options, rows: list[Row], *, fails: bool) -> None:
    if options.as_json:
        tui.print_json([row.as_json() for row in rows])
    else:
        tui.table(
            [
                [row.client.title, row.change.what, row.why or row.standing, tui.tilde(str(row.change.path))]
                for row in rows
            ]
        )
        if not rows:
            tui.note("no client that kv knows is installed here; kv setup NAME sets one up all the same")
        elif any(row.standing == "absent" for row in rows) and not fails:
            tui.note("kv setup --all tells them of kv; kv setup NAME one of them")
    if fails and any(row.standing != "current" for row in rows):
        raise typer.Exit(FAILED)


def _put(options: Options, rows: list[Row], *, dry_run: bool, yes: bool) -> None:
    from editor_setup.receipt import edited

    wanted = [row for row in rows if row.standing in {"absent", "other"}]
    _warn(rows)
    if wanted and not options.as_json:
        for row in wanted:
            tui.say(tui.styled(tui.tilde(str(row.change.path)), "bold"))
            for line in row.change.diff():
                tui.say(tui.styled(line, {"+": "green", "-": "red"}.get(line[:1], "dim")))
    if dry_run or not wanted:
        _done(options, rows, "nothing to change" if not wanted else "")
        return
    _agree("write this?", yes=yes)
    _record(options, wanted, undo=False)
    for row in rows:
        if row.standing != "broken":  # what is there already is this client's too from now on
            with _telling(row):
                receipts.keep(row.client.name, row.change.path, edited(row.change.path, row.change.put))
    says = (
        f"{tui.counted(len({row.client.name for row in wanted}), 'client')} told; kv setup --all --undo takes it back"
    )
    _done(options, [row._replace(standing="current") if row in wanted else row for row in rows], says)


def _undo(options: Options, rows: list[Row], *, yes: bool) -> None:
    from editor_setup.receipt import edited, undone

    _warn(rows)
    wanted = [row for row in rows if row.standing in {"current", "other"}]
    if not wanted:
        _done(options, rows, "nothing of kv is there")
        return
    if not options.as_json:
        for row in wanted:
            tui.say(f"{row.client.title}: {row.change.what} in {tui.tilde(str(row.change.path))}")
    _agree("take it out?", yes=yes)
    _record(options, wanted, undo=True)
    for row in reversed(wanted):
        with _telling(row):
            made = receipts.give_up(row.client.name, row.change.path)
            for each in reversed(made or ()):
                undone(row.change.path, each, row.change.drop)
            if made is not None:
                edited(row.change.path, row.change.drop)  # what a person copied, or an older kv wrote
    _done(options, [row._replace(standing="absent") if row in wanted else row for row in rows], "taken back")


@contextmanager
def _telling(row: Row) -> Iterator[None]:
    """An edit that was refused, as an error of kv's: the file was left alone."""
    from editor_setup.contract import EditError

    try:
        yield
    except EditError as error:
        raise KvError("settings", path=tui.tilde(str(row.change.path)), why=error.message) from None


def _warn(rows: list[Row]) -> None:
    for row in rows:
        if row.standing == "broken":
            tui.warn(f"{tui.tilde(str(row.change.path))} is left alone: {row.why}")


def _agree(question: str, *, yes: bool) -> None:
    if yes:
        return
    with Terminal() as terminal:
        if not terminal.confirm(question):
            raise KvError("usage", why="nothing was changed")


def _record(options: Options, rows: list[Row], *, undo: bool) -> None:
    """A person's act, with a proof: which program a client starts is nothing that an agent may change through kv."""
    names = sorted({row.client.name for row in rows})
    with acting(options) as keeper:
        keeper.act("setup", {"clients": names, "undo": undo})


def _done(options: Options, rows: list[Row], says: str) -> None:
    if options.as_json:
        tui.print_json([row.as_json() for row in rows])
    elif says:
        tui.say(says)
