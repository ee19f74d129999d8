"""`kv setup`: tell AI clients of kv, see how they stand, and take every byte back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from kv.cli import completing, receipts, tui
from kv.cli.keeper import acting
from kv.cli.options import Options, verb
from kv.cli.paste import print_text
from kv.cli.told import Asked, Row, chosen, folder, places, rows, shown
from kv.cli.terminal import Terminal
from kv.errors import FAILED, KvError, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.cli.keeper import Keeper

_LINE = 1000  # characters of a line of other people's settings
_WRITTEN = {"missing", "outdated", "altered"}  # what setup changes


class _How(NamedTuple):
    """How the verb goes about it."""

    yes: bool = False
    dry_run: bool = False
    keeper: Keeper | None = None
    offered: bool = False  # it was kv that began


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "setup")(setup)


def setup(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    clients: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLIENT", help="Such as claude-code.", autocompletion=completing.clients),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every client that is installed.")] = False,
    scope: Annotated[str, typer.Option("--scope", metavar="SCOPE", help="user, or project: this folder.")] = "user",
    instructions: Annotated[
        bool, typer.Option("--instructions/--no-instructions", help="Also texts for its model.")
    ] = True,
    permissions: Annotated[
        bool, typer.Option("--permissions/--no-permissions", help="Also keep it from .env and from kv's own files.")
    ] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing but the proof.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take everything back.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Status 1 unless all are as they should be.")] = False,
    show: Annotated[
        bool, typer.Option("--print", help="What to paste by hand; for any client without a name.")
    ] = False,
) -> None:
    """Tell AI clients of kv, or take it back.

    A client gets an MCP entry, a short text for its model, and rules against reading .env, as far as it has a place
    for them. Without names it shows which clients are here, and asks. What is to be written is shown before; --undo
    takes it back, to the byte where nobody changed the file since.

    \b
      kv setup
      kv setup claude-code
      kv setup --all --dry-run
      kv setup --print
    """
    if scope not in {"user", "project"}:
        raise KvError("usage", why="--scope is user or project")
    if scope == "project" and folder() == Path.home():
        raise KvError("usage", why="this folder is your home, and no project")
    named = bool(clients or every)
    if (dry_run or undo) and not named:
        raise KvError("usage", why="name the clients, or --all; kv setup --help shows how")
    asked = Asked(options.path, scope, instructions=instructions or undo, permissions=permissions or undo)
    if show:
        print_text(options, chosen(clients or []) if named else [], asked)
        return
    found = [row for client in chosen(clients or [], receipts.told()) for row in rows(client, asked)]
    how = _How(yes=yes, dry_run=dry_run)
    if undo:
        _undo(options, found, how)
    elif named and not check:
        _put(options, found, how)
    else:
        _show(options, found, fails=check)
        if not check and not options.as_json:
            offer(options, found, None)


def offer(options: Options, found: list[Row], keeper: Keeper | None) -> None:
    """Ask for each client that has not been told, where a person can answer, and tell those that they want."""
    terminal = Terminal.available() if sys.stdout.isatty() else None
    if terminal is None:
        return
    wanted: list[Row] = []
    with terminal:
        for client in dict.fromkeys(row.client.name for row in found if row.standing in _WRITTEN):
            its = [row for row in found if row.client.name == client]
            told = any(row.what == "server" and row.standing == "ok" for row in its)
            question = "bring it up to date?" if told else "set it up?"
            if terminal.confirm(f"{its[0].client.title} is installed. {question}"):
                wanted += its
    if wanted:
        _put(options, wanted, _How(keeper=keeper, offered=True))


def _show(options: Options, found: list[Row], *, fails: bool) -> None:
    if options.as_json:
        tui.print_json([row.as_json() for row in found])
    else:
        tui.table([[row.client.title, row.what, row.standing, shown(row.path)] for row in found])
        for row in found:
            if row.why:
                tui.note(f"{row.client.title}: {row.why}")
        if not found:
            tui.note("no client that kv knows is installed here; kv setup NAME sets one up all the same")
        elif any(row.standing == "missing" for row in found) and not fails and not sys.stdout.isatty():
            tui.note(f"kv setup --all{_here(found)} tells them of kv; kv setup NAME{_here(found)} one of them")
    if fails and any(row.standing != "ok" for row in found):
        raise typer.Exit(FAILED)


def _put(options: Options, found: list[Row], how: _How) -> None:
    wanted = [row for row in found if row.standing in _WRITTEN]
    _warn(found)
    if wanted and not options.as_json:
        for row in {(row.path, row.what): row for row in wanted}.values():  # some read the same file
            tui.say(tui.styled(shown(row.path), "bold"))
            for line in row.change.diff() if row.change else ():
                line_shown = clean(line.expandtabs(4), limit=_LINE)
                tui.say(tui.styled(line_shown, {"+": "green", "-": "red"}.get(line[:1], "dim")))
    if how.dry_run or not wanted:
        _done(options, found, "" if wanted else "nothing to change")
        return
    if not _agreed("write this?", how):
        return
    _record(options, wanted, how.keeper, undo=False)
    told = [row for row in found if row.standing not in {"broken", "untrusted"}]  # also where all is there already
    failed = _each(told, _write)
    counted = tui.counted(len({row.client.name for row in told} - {row.client.name for row in failed}), "client")
    _done(options, _again(found, failed), f"{counted} told; kv setup --all{_here(found)} --undo takes it back")
    if not options.as_json:
        _say_steps(found)
    if failed:
        raise typer.Exit(FAILED)


def _write(row: Row) -> None:
    from editor_setup.receipt import edited

    for edit in row.change.edits if row.change else ():
        made = edited(row.path, edit.made)
        left = row.change.digests()[edit.key] if row.change else ""
        receipts.keep(receipts.Use(row.client.name, str(row.path), edit.key, left, made))


def _undo(options: Options, found: list[Row], how: _How) -> None:
    _warn(found)
    wanted = [row for row in found if row.change and row.standing != "broken" and row.change.is_there()]
    if not wanted:
        _done(options, found, "nothing of kv is there")
        return
    if not options.as_json:
        for row in wanted:
            tui.say(f"{row.client.title}: {row.what} in {shown(row.path)}")
    if not _agreed("take it out?", how):
        return
    _record(options, wanted, how.keeper, undo=True)
    failed = _each(list(reversed(wanted)), lambda row: _take_out(row, wanted))
    _done(options, _again(found, failed), "" if failed else "taken back")
    if failed:
        raise typer.Exit(FAILED)


def _each(found: list[Row], act: Callable[[Row], None]) -> list[Row]:
    """Do it for each, whatever becomes of the others; those whose file was left alone, which is said."""
    from editor_setup.contract import EditError

    failed = []
    for row in found:
        try:
            act(row)
        except EditError as error:
            failed.append(row._replace(standing="broken", why=error.message))
    _warn(failed)
    return failed


def _take_out(row: Row, beside: list[Row]) -> None:
    """What is in a file, by whichever edit, from the last to the first."""
    from editor_setup.receipt import edited, undone

    edits = {edit.key: edit for each in beside if each.change and each.path == row.path for edit in each.change.edits}
    if not receipts.shared(row.client.name, row.path):
        for use in reversed(receipts.uses(row.client.name, row.path)):
            if use.receipt is not None:
                undone(row.path, use.receipt, edits[use.edit].drop if use.edit in edits else lambda _: [])
        for edit in edits.values():
            if edit.ours:
                edited(row.path, edit.drop)  # what a person copied, or an older kv wrote
    receipts.give_up(row.client.name, row.path)


def _again(found: list[Row], failed: list[Row]) -> list[Row]:
    """The rows as they are now."""
    written = receipts.written()
    left = {(row.client.name, row.path, row.what): row for row in failed}
    now = []
    for row in found:
        if row.change and row.standing != "broken" and (row.client.name, row.path, row.what) not in left:
            now.append(row._replace(standing=row.change.standing(written.get(str(row.path), {}))))
        else:
            now.append(left.get((row.client.name, row.path, row.what), row))
    return now


def _warn(found: list[Row]) -> None:
    for row in found:
        if row.standing == "broken":
            by_hand = f"kv setup {row.client.name}{_here([row])} --print shows what to put there by hand"
            tui.warn(f"{shown(row.path)} is left alone: {row.why}; {by_hand}")


def _here(found: list[Row]) -> str:
    """What a command line needs to mean the same."""
    return " --scope project" if found and found[0].scope == "project" else ""


def _agreed(question: str, how: _How) -> bool:
    """Whether a person says yes. Raises `KvError("usage")` where they began it themselves and say no."""
    if how.yes:
        return True
    with Terminal() as terminal:
        if terminal.confirm(question):
            return True
    if not how.offered:
        raise KvError("usage", why="nothing was changed")
    tui.say("nothing was changed")
    return False


def _record(options: Options, found: list[Row], keeper: Keeper | None, *, undo: bool) -> None:
    """A person's act, with a proof: which program a client starts is nothing that an agent may change through kv."""
    act = {"clients": sorted({row.client.name for row in found}), "undo": undo}
    if keeper is not None:
        keeper.act("setup", act)
        return
    with acting(options) as met:
        met.act("setup", act)


def _say_steps(found: list[Row]) -> None:
    """What only a person may do, of each client that was told; not what was done already."""
    from editor_setup.contract import EditError
    from editor_setup.setup import is_taken, steps

    for row in {row.client.name: row for row in found if row.standing != "broken"}.values():
        for step in steps(row.client, row.scope):
            try:
                if is_taken(step, places(row.client)):
                    continue
            except EditError:
                pass  # then it is said once more
            tui.say(f"{row.client.title}: {step.say}")


def _done(options: Options, found: list[Row], says: str) -> None:
    if options.as_json:
        tui.print_json([row.as_json() for row in found])
    elif says:
        tui.say(says)
