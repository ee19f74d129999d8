"""`kv setup`: tell AI clients of kv, see how they stand, and take every byte back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from kv.cli import completing, receipts, telling, tui
from kv.cli.keeper import acting
from kv.cli.options import Options, verb
from kv.cli.paste import print_text
from kv.cli.terminal import Terminal
from kv.cli.told import Asked, Row, chosen, folder, places, rows, shown
from kv.errors import FAILED, KvError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.cli.keeper import Keeper

_WRITTEN = {"missing", "outdated", "altered"}  # what setup changes
_NOTHING = "nothing was changed"
_MORE = """\b
  CLIENT is one of aider, amp, antigravity, auggie, claude-code,
  claude-desktop, cline, cline-vscode, codex, continue, copilot-cli, crush,
  cursor, gemini, goose, junie, kiro, opencode, qwen, vscode,
  vscode-insiders, windsurf, zed.

How each of their files stands:

\b
  ok         as kv wants it
  missing    nothing of kv is there; setup writes it
  outdated   what kv itself put there before; setup renews it
  altered    somebody else wrote what is there; setup shows and repairs it
  broken     not understood, or not to be written; setup leaves it alone
  untrusted  the client waits for your consent, which no setup can give
"""


class _How(NamedTuple):
    """How the verb goes about it."""

    yes: bool = False
    dry_run: bool = False
    keeper: Keeper | None = None


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "setup", more=_MORE)(setup)


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
    check: Annotated[bool, typer.Option("--check", help="Status 1 unless all is ok: untrusted is not.")] = False,
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
    named = bool(_only("a client's name" if clients else "", "--all" if every else ""))
    mode = _only("--undo" if undo else "", "--check" if check else "", "--print" if show else "")
    if mode in {"--check", "--print"} and (dry_run or yes):
        raise KvError("usage", why=f"{mode} changes nothing: it takes neither --dry-run nor --yes")
    if undo and not (instructions and permissions):
        raise KvError("usage", why="--undo takes everything back: it takes no --no-instructions, no --no-permissions")
    if (dry_run or undo or yes) and not named:
        raise KvError("usage", why="name the clients, or --all; kv setup --help shows how")
    asked = _asked(options, scope, instructions=instructions, permissions=permissions)
    if show:
        print_text(options, chosen(clients or []) if named else [], asked)
        return
    written = receipts.written()
    found = [row for client in chosen(clients or [], receipts.told()) for row in rows(client, asked, written)]
    how = _How(yes=yes, dry_run=dry_run)
    if undo:
        _undo(options, found, how)
    elif named and not check:
        _put(options, found, how)
    else:
        _show(options, found, fails=check)
        if not check and not options.as_json:
            offer(options, found, None)


def _only(*given: str) -> str:
    """The one of them that was given, if any. Raises `KvError("usage")` where there are two."""
    found = [each for each in given if each]
    if len(found) > 1:
        raise KvError("usage", why=f"{' or '.join(found)}: one of them; kv setup --help shows how")
    return "".join(found)


def _asked(options: Options, scope: str, *, instructions: bool, permissions: bool) -> Asked:
    """What is asked for. Raises `KvError("usage")` for a scope that is none."""
    if scope not in {"user", "project"}:
        raise KvError("usage", why="--scope is user or project")
    if scope == "project" and folder() == Path.home():
        raise KvError("usage", why="this folder is your home, and no project")
    return Asked(options.path, scope, instructions=instructions, permissions=permissions)


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
        _put(options, wanted, _How(keeper=keeper))


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
            scope = telling.here(found)
            tui.note(f"kv setup --all{scope} tells them of kv; kv setup NAME{scope} one of them")
    if fails and any(row.standing != "ok" for row in found):
        raise typer.Exit(FAILED)


def _put(options: Options, found: list[Row], how: _How) -> None:
    found = [row.with_diff() if row.standing in _WRITTEN else row for row in found]
    wanted = [row for row in found if row.standing in _WRITTEN]
    telling.warn(found)
    if how.dry_run or not wanted:
        _say(options, [] if options.as_json else _lines(wanted))
        _done(options, found, "" if wanted else "nothing to change")
        return
    if not _agreed(options, _lines(wanted), "write this?", how):
        _done(options, found, _NOTHING)
        return
    _record(options, wanted, how.keeper, undo=False)
    told = [row for row in found if row.standing not in {"broken", "untrusted"}]  # also where all is there already
    failed = telling.write(told)
    counted = tui.counted(len({row.client.name for row in told} - {row.client.name for row in failed}), "client")
    back = f"kv setup --all{telling.here(found)} --undo takes it back"
    _done(options, telling.again(found, failed), f"{counted} told; {back}")
    if not options.as_json:
        _say_steps(found)
    if failed:
        raise typer.Exit(FAILED)


def _undo(options: Options, found: list[Row], how: _How) -> None:
    telling.warn(found)
    wanted = [row for row in found if row.change and row.standing != "broken" and row.change.is_there()]
    lines = [f"{row.client.title}: {row.what} in {shown(row.path)}" for row in wanted]
    if how.dry_run or not wanted:
        _say(options, [] if options.as_json else lines)
        _done(options, wanted if how.dry_run else found, "" if wanted else "nothing of kv is there")
        return
    if not _agreed(options, lines, "take it out?", how):
        _done(options, found, _NOTHING)
        return
    _record(options, wanted, how.keeper, undo=True)
    failed = telling.take_out(wanted)
    _done(options, telling.again(found, failed), "" if failed else "taken back")
    if failed:
        raise typer.Exit(FAILED)


def _lines(wanted: list[Row]) -> list[str]:
    """What is to be written, file by file."""
    found: list[str] = []
    for row in {(row.path, row.what): row for row in wanted}.values():  # some read the same file
        found.append(tui.styled(shown(row.path), "bold"))
        found += [tui.styled(line, {"+": "green", "-": "red"}.get(line[:1], "dim")) for line in row.diff]
    return found


def _say(options: Options, lines: Iterable[str]) -> bool:
    """Lines of the result, beside it where that is JSON; whether a terminal shows them."""
    out = sys.stderr if options.as_json else sys.stdout
    for line in lines:
        tui.say(line, out)
    return out.isatty()


def _agreed(options: Options, lines: list[str], question: str, how: _How) -> bool:
    """Whether a person, who sees `lines` before they are asked, says yes, or said so by --yes."""
    seen = _say(options, lines)
    if how.yes:
        return True
    with Terminal() as terminal:
        for line in [] if seen else lines:
            terminal.print(line)
        return terminal.confirm(question)


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
