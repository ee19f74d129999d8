"""The daily proof: totp, pin. What a person gives to approve, so that the passphrase need not be typed all day."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from kv.cli import tui
from kv.cli.keeper import Keeper, acting, take_shelter
from kv.cli.options import Options, verb
from kv.cli.terminal import Terminal
from kv.errors import KvError

ActionArgument = Annotated[str, typer.Argument(metavar="set|off", show_default=False)]
_SET = {"set", "enrol"}
_TRIES = 3


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "totp")(totp)
    verb(app, "pin")(pin)


def totp(options: Options, *, action: ActionArgument = "set") -> None:
    """Approve with codes of an authenticator app. Takes the passphrase.

    \b
      kv totp
    """
    _daily(options, "totp", action)


def pin(options: Options, *, action: ActionArgument = "set") -> None:
    """Approve with a PIN of 6 to 12 digits. Takes the passphrase.

    \b
      kv pin
    """
    _daily(options, "pin", action)


def _daily(options: Options, kind: str, action: str) -> None:
    off = action == "off"
    if not off and action not in _SET:
        raise KvError("usage", why=f"kv {kind} sets it up, kv {kind} off drops it")
    with acting(options) as keeper:
        if off:
            keeper.act(kind, {"action": "off"})
        else:
            with Terminal() as terminal:
                take_shelter()
                keeper.root()  # the passphrase first: what follows is proved with it
                (enrol_totp if kind == "totp" else enrol_pin)(keeper, terminal)
    if options.as_json:
        tui.print_json({kind: not off})
    else:
        what = "TOTP codes are" if kind == "totp" else "the PIN is"
        tui.say(f"{what} {'off' if off else 'set'}")


def enrol_totp(keeper: Keeper, terminal: Terminal) -> None:
    """Show the secret as a QR code, and take the first code as proof that the app has it."""
    from kv.proofs import qr

    told = keeper.act("totp", {"action": "enrol"}).ok
    for line in qr.draw(str(told["uri"]), _theme()):
        terminal.print(f"  {line}")
    terminal.print(f"  or type:  {told['base32']}")
    for left in reversed(range(_TRIES)):
        code = terminal.ask("  Code from the app: ")
        try:
            keeper.act("totp", {"action": "confirm", "code": code})
        except KvError as error:
            if error.code not in {"proof-wrong", "proof-used"} or not left:
                raise
            terminal.print("  that is not the code; is the clock of your phone right?")
        else:
            return


def enrol_pin(keeper: Keeper, terminal: Terminal) -> None:
    """Take a PIN, typed twice."""
    from kv.proofs.pin import require_strong

    while True:
        typed = terminal.ask_hidden("  PIN (6 to 12 digits, hidden): ")
        digits = typed.expose().decode("ascii", "replace")
        try:
            require_strong(digits)
        except KvError as error:
            terminal.print(f"  {error.message}")
            continue
        if typed.same(terminal.ask_hidden("  Again: ")):
            keeper.act("pin", {"action": "enrol", "pin": digits})
            return
        terminal.print("  the two entries differ")


def _theme() -> Literal["dark", "light"]:
    """Most terminals are dark; those that say otherwise in COLORFGBG have a background of 7 or 15."""
    return "light" if os.environ.get("COLORFGBG", "").rpartition(";")[2] in {"7", "15"} else "dark"
