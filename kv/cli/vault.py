"""The vault as a whole: unlock, lock, panic, passwd, recover."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kv import programs
from kv.cli import tui
from kv.cli.confirm import confirm_vault
from kv.cli.keeper import Keeper, acting, take_shelter, wait_for_end
from kv.cli.options import Options, verb
from kv.cli.passphrase import CodeFile, choose, from_fd, read_code, show_code
from kv.cli.proof import Prover
from kv.cli.terminal import Terminal, Typed, refuse_agent
from kv.cli.warning import warn_of, warn_of_running
from kv.client import ADMIN, Client, lock_holder
from kv.errors import KvError
from kv.hot.result import counted
from kv.hot.status import ask as ask_status
from kv.paths import Runtime
from kv.seen import remember, seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kv.vault.keys import RootKey

_SPAN = re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m(?:in)?)?(?:(\d{1,6})s?)?")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "unlock")(unlock)
    verb(app, "lock")(lock)
    verb(app, "panic")(panic)
    verb(app, "passwd")(passwd)
    verb(app, "recover")(recover)


def unlock(  # noqa: PLR0913 - the options of a command
    options: Options,
    *,
    idle: Annotated[
        str | None, typer.Option("--idle", metavar="SPAN", help="Lock after so long without a call: 4h.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="HH:MM", help="Lock at this time of day.")] = None,
    accept_older: Annotated[
        bool, typer.Option("--accept-older", help="Take a vault file older than the one seen last; you restored it.")
    ] = False,
    agent_uid: Annotated[
        list[int] | None,
        typer.Option("--agent-uid", metavar="UID", help="Let this user make calls too; repeat for more."),
    ] = None,
    calls_per_minute: Annotated[
        int | None,
        typer.Option("--calls-per-minute", metavar="N", min=1, help="How many calls one session may make (600)."),
    ] = None,
) -> None:
    """Open the vault for calls.

    Starts its keeper, which locks by itself after 4 h without a call, or 12 h at most.

    \b
      kv unlock --until 18:00
    """
    wishes: dict[str, object] = {"accept_older": accept_older, "agent_uids": agent_uid or []}
    if calls_per_minute is not None:
        wishes["calls_per_minute"] = calls_per_minute
    if idle is not None:
        wishes["idle"] = parse_span(idle)
    if until is not None:
        wishes["until"] = parse_clock(until)
    status = ask_status(options.path)
    if status["locked"]:
        warned = _open(options, wishes)
        status = _serving(options.path)
        head = "unlocked"
    else:
        warned = warn_of_running(status, chosen=[name for name, value in wishes.items() if value])
        head = "unlocked already"
    if options.as_json:
        tui.print_json({**status, "warnings": warned})
    else:
        tui.say(f"{head}: {tui.tilde(options.path)}   {tui.times(status)}")


def _serving(path: str) -> dict[str, object]:
    """The status of a keeper that may be another's and still be opening the vault. Raises `KvError("locked")`."""
    for _ in range(300):
        status = ask_status(path)
        if not status["locked"]:
            return status
        if not lock_holder(Runtime(path).lock):
            break  # nobody is: what could not be read whole locks by itself, and keeps no person waiting
        time.sleep(0.1)
    raise KvError("locked")


def _open(options: Options, wishes: Mapping[str, object]) -> list[str]:
    from kv.birth import birth

    path = options.path
    if not os.path.exists(path):
        raise KvError("vault-missing", path=path)
    prover = Prover(options)
    prover.check_possible("unlock")
    take_shelter()
    confirm_vault(path, options)
    try:
        with prover.root_of(path).expose() as key:
            told = birth(path, key, {**wishes, "seen": seen(path)})
    except KvError as error:
        if error.code in {"keeper-runs", "vault-busy"}:
            return []  # another `kv unlock` was faster, and has the same passphrase
        raise
    finally:
        prover.forget()
    remember(path, told, accept_older=bool(wishes["accept_older"]))
    return warn_of(told)


def lock(options: Options) -> None:
    """Close the vault.

    The keeper ends, and with it every copy of a value but those that programs of kv run were lent. Needs no proof.

    \b
      kv lock
    """
    _end(options, "lock")
    if going := len(programs.noted(Runtime(options.path).folder)):
        tui.note(f"{counted(going, 'program')} with secrets still running; kv panic ends them")


def panic(options: Options) -> None:
    """Stop everything at once.

    Calls are cancelled, grants dropped, programs ended, the vault is locked, an alarm is recorded. Needs no proof.

    \b
      kv panic
    """
    folder = Runtime(options.path).folder
    if going := len(programs.noted(folder)):
        tui.note(f"ending {counted(going, 'program')} of kv run")
    _end(options, "panic")
    programs.end(folder)


def _end(options: Options, act: str) -> None:
    try:
        with Client(options.path, ADMIN) as client:
            client.ask(act)
            pid = int(str(client.keeper.get("pid", 0)))
        wait_for_end(pid)
        done = "locked"
    except KvError as error:
        if error.code not in {"locked", "gone"}:
            raise
        done = "locked already" if error.code == "locked" else "locked"
    if options.as_json:
        tui.print_json({"locked": True})
    else:
        tui.say(f"{done}: {tui.tilde(options.path)}")


def parse_span(text: str) -> float:
    """`4h`, `90m`, `1h30m` or seconds, in seconds. Raises `KvError("usage")`."""
    match = _SPAN.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if not total:
        raise KvError("usage", why="a span of time is written 4h, 90m or 1h30m")
    return float(total)


def parse_clock(text: str) -> float:
    """The next time that the clock shows `HH:MM`, as wall-clock seconds. Raises `KvError("usage")`."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise KvError("usage", why="a time of day is written 18:00")
    now = time.localtime()
    at = time.mktime((*now[:3], int(match[1]), int(match[2]), 0, 0, 0, -1))
    return at if at > time.time() else time.mktime((*now[:2], now[2] + 1, int(match[1]), int(match[2]), 0, 0, 0, -1))


def passwd(
    options: Options,
    *,
    new_passphrase_fd: Annotated[
        int | None,
        typer.Option("--new-passphrase-fd", metavar="N", help="Read the new passphrase from this descriptor."),
    ] = None,
) -> None:
    """Change the passphrase.

    Rewrites one slot of the vault, no secret; older backups keep the older passphrase.

    \b
      kv passwd
    """
    with acting(options) as keeper:
        root = keeper.root()
        _replace_passphrase(keeper, root, _new_passphrase(new_passphrase_fd))
    _done(options, "passphrase changed; backups made before still open with the old one")


def _new_passphrase(descriptor: int | None) -> Typed:
    if descriptor is not None:
        return from_fd(descriptor)
    with Terminal() as terminal:
        return choose(terminal, "New passphrase (hidden): ")


def _replace_passphrase(keeper: Keeper, root: RootKey, typed: Typed) -> None:
    from kv.vault.slots import seal_slot

    before = keeper.public_slot()
    try:
        slot = seal_slot(root, before.vault, "passphrase", typed.expose_buffer(), before.kdf)
    finally:
        typed.wipe()
    keeper.act("passwd", {"slot": slot.as_wire()})


def recover(
    options: Options,
    *,
    code_file: Annotated[
        str | None, typer.Option("--code-file", metavar="FILE", help="Read the recovery code from a file.")
    ] = None,
    recovery_file: Annotated[
        str | None, typer.Option("--recovery-file", metavar="FILE", help="Write the new code to a new file.")
    ] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Only make a new code; takes the passphrase.")] = False,
) -> None:
    """Set a new passphrase with the recovery code.

    Both are replaced, and the vault is left locked. With --passphrase-fd the descriptor carries the new passphrase,
    and --code-file the code.

    \b
      kv recover
      kv recover --renew
    """
    with contextlib.ExitStack() as stack:
        target = None if recovery_file is None else stack.enter_context(CodeFile(recovery_file))
        if target is None and options.passphrase_fd is not None:
            raise KvError("usage", why="--recovery-file says where the new recovery code goes")
        if target is None or not (renew or (code_file is not None and options.passphrase_fd is not None)):
            Terminal().close()  # what is typed or shown needs one: said before anything else can fail
        keeper = stack.enter_context(acting(options))
        take_shelter()
        if renew:
            root = keeper.root()
        else:
            root = _open_with_code(options, code_file)
            keeper.start(root)
            _replace_passphrase(keeper, root, _new_passphrase(options.passphrase_fd))
        _renew_code(keeper, root, target)
    _done(options, "new recovery code; the old one opens nothing" if renew else "passphrase and recovery code are new")


def _open_with_code(options: Options, code_file: str | None) -> RootKey:
    from kv.vault import recovery
    from kv.vault.session import open_slot, read_slot

    confirm_vault(options.path, options)
    slot = read_slot(options.path, "recovery")
    if code_file is not None:
        return open_slot(slot, recovery.parse(read_code(code_file)))
    refuse_agent()
    with Terminal() as terminal:
        return open_slot(slot, recovery.parse(terminal.ask("Recovery code: ")))


def _renew_code(keeper: Keeper, root: RootKey, target: CodeFile | None) -> None:
    from kv.vault.slots import seal_recovery

    slot, code = seal_recovery(root, keeper.public_slot().vault)
    keeper.act("recovery", {"slot": slot.as_wire()})
    if target is not None:
        target.write(code)
        return
    with Terminal() as terminal:
        show_code(terminal, code)


def _done(options: Options, text: str) -> None:
    if options.as_json:
        tui.print_json({"done": True})
    else:
        tui.say(text)
