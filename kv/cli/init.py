"""`kv init`: make a vault, leave it unlocked, take in the `.env` that lies about, tell the AI clients that are here.

Rules of this file
- The passphrase is typed before anything is made, and the place for the recovery code exists before the code does.
- The vault is made in a sheltered child, closed, and opened again by what was typed: what cannot be opened is found
  out now. Then its keeper is born, like after any `kv unlock`.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Annotated

import typer

from kv.cli import tui
from kv.cli.confirm import remember_vault
from kv.cli.enrolment import enrol_pin, enrol_totp
from kv.cli.importing import perform, plan
from kv.cli.keeper import Keeper, take_shelter
from kv.cli.options import Options, verb
from kv.cli.passphrase import CodeFile, choose, costs, from_fd, show_code
from kv.cli.terminal import Terminal, refuse_agent
from kv.cli.value import MAX_BYTES
from kv.errors import KvError
from kv.seen import remember

if TYPE_CHECKING:
    from kv.cli.terminal import Typed
    from kv.vault.kdf import KdfParameters

_ENV = ".env"


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "init")(init)


def init(
    options: Options,
    *,
    no_totp: Annotated[bool, typer.Option("--no-totp", help="Set up no daily proof now.")] = False,
    recovery_file: Annotated[
        str | None, typer.Option("--recovery-file", metavar="FILE", help="Write the recovery code to a new file.")
    ] = None,
    kdf_memory: Annotated[
        str | None,
        typer.Option("--kdf-memory", metavar="SIZE", help="Memory of the KDF, 64MiB at least; measured without."),
    ] = None,
) -> None:
    """Make a vault and leave it unlocked.

    Asks for a passphrase, offers a daily proof (authenticator app or PIN), shows the recovery code once, and offers
    to import the .env file of this folder and to set up the AI clients that are installed.

    \b
      kv init
      kv init --passphrase-fd 3 --no-totp --recovery-file rc --json
    """
    path, scripted = options.path, options.passphrase_fd is not None
    if os.path.lexists(path):
        raise KvError("vault-exists", path=path)
    if scripted and recovery_file is None:
        raise KvError("usage", why="--recovery-file says where the recovery code goes")
    given = None if kdf_memory is None else costs(kdf_memory)
    with contextlib.ExitStack() as stack:
        terminal = None if scripted else stack.enter_context(Terminal())
        if terminal is not None:
            refuse_agent()
        take_shelter()
        code_file = None if recovery_file is None else stack.enter_context(CodeFile(recovery_file))
        typed = _passphrase(options, terminal)
        code = _make(path, typed, given)
        if code_file is not None:
            code_file.write(code)
        keeper = stack.enter_context(contextlib.closing(_unlock(options, typed)))
        typed.wipe()
        if terminal is not None:
            _finish(keeper, terminal, None if code_file else code, daily=not no_totp)
        _report(options, keeper, None if code_file is None else code_file.path)
        if terminal is not None and not options.as_json:
            _offer_import(options, keeper, terminal)
            _offer_clients(options, keeper)


def _passphrase(options: Options, terminal: Terminal | None) -> Typed:
    if terminal is None:
        return from_fd(options.passphrase_fd or 0)
    return choose(terminal)


def _make(path: str, typed: Typed, kdf: KdfParameters | None) -> str:
    """Make the vault, at costs that are measured unless they were given; its recovery code."""
    from kv.vault.kdf import calibrate
    from kv.vault.session import Vault

    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise KvError("disk", act="make", path=os.path.dirname(path), why=os.strerror(error.errno or 0)) from None
    vault, code = Vault.create(path, typed.expose(), kdf=kdf or calibrate())
    vault.close()
    remember_vault(path)
    return code


def _unlock(options: Options, typed: Typed) -> Keeper:
    """Open what was made, start its keeper, and meet it; the proofs of this command need no more typing."""
    from kv.birth import birth
    from kv.vault.session import open_slot, read_slot

    path = options.path
    root = open_slot(read_slot(path), typed.expose_buffer())
    with root.expose() as key:
        remember(path, birth(path, key), accept_older=True)  # what stood at this path before is gone
    keeper = Keeper(options)
    keeper.adopt(root)
    return keeper


def _finish(keeper: Keeper, terminal: Terminal, code: str | None, *, daily: bool) -> None:
    """The daily proof and the recovery code, at the terminal."""
    try:
        if daily:
            _offer_daily(keeper, terminal)
    finally:  # whatever becomes of the app: the vault is made, and its recovery code is shown once
        if code is not None:
            show_code(terminal, code)


def _offer_daily(keeper: Keeper, terminal: Terminal) -> None:
    while True:
        question = "Daily proof for approvals: [T]OTP app, [p]in, [n]one (passphrase each time)? "
        answer = terminal.ask(question).lower()
        if answer in {"", "t", "totp"}:
            enrol_totp(keeper, terminal)
        elif answer in {"p", "pin"}:
            enrol_pin(keeper, terminal)
        if answer in {"", "t", "totp", "p", "pin", "n", "none"}:
            return


def _report(options: Options, keeper: Keeper, code_path: str | None) -> None:
    status = keeper.ask("status").ok
    if options.as_json:
        tui.print_json({"vault": options.path, "locked": False, "pid": status.get("pid"), "recovery_file": code_path})
    else:
        tui.say(f"vault ready and unlocked: {tui.tilde(options.path)}   {tui.times(status)}")


def _offer_import(options: Options, keeper: Keeper, terminal: Terminal) -> None:
    """Take in the `.env` of this folder, if it holds secrets and the person wants it."""
    from kv.cli.dotenv import parse

    try:
        with open(_ENV, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError:
        return
    taken = [item for item in plan(parse(data)[0], options, set(), everything=False) if not item.left]
    if not taken or len(data) > MAX_BYTES:
        return
    like = "looks like a secret. import it?" if len(taken) == 1 else "look like secrets. import them?"
    found = f"found {_ENV} with {tui.counted(len(taken), 'value')} that {like}"
    if terminal.confirm(f"{found} (only names are shown)"):
        perform(keeper, options, data, _ENV, yes=True, ask_rewrite=True)


def _offer_clients(options: Options, keeper: Keeper) -> None:
    """Tell the AI clients that are here of kv, one question each. The vault is made, whatever becomes of that."""
    from kv.cli import receipts
    from kv.cli.setup import offer
    from kv.cli.told import Asked, chosen, rows

    try:
        asked, written = Asked(options.path), receipts.written()
        offer(options, [row for client in chosen([]) for row in rows(client, asked, written)], keeper)
    except KvError as error:
        tui.warn(f"{error.message}; kv setup tries again")
