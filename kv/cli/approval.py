"""Approvals: approve, deny, approvals; and the answer in place, for a call of the person's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from kv import card as cards
from kv.cli import tui
from kv.cli.keeper import Keeper, acting, take_shelter
from kv.cli.options import Options, verb
from kv.cli.terminal import Terminal, refuse_agent
from kv.errors import DENIED, UNKNOWN, KvError
from kv.paths import home

if TYPE_CHECKING:
    from collections.abc import Mapping

Card = dict[str, object]

_KEYS = {"o": "once", "s": "session", "p": "project"}
IdArgument = Annotated[str | None, typer.Argument(metavar="ID", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "approve")(approve)
    verb(app, "deny")(deny)
    verb(app, "approvals")(approvals)


def approve(
    options: Options,
    *,
    ident: IdArgument = None,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="SCOPE", help="once, session or project; asked for at a terminal.")
    ] = None,
) -> None:
    """Say yes (or no) to a call that waits. Without an ID, to the oldest one.

    What is shown is what kv itself parsed; only the reason is the agent's word. Takes a fresh proof.

    \b
      kv approve
      kv approve 7F3K --scope once
    """
    with acting(options) as keeper:
        found = _find(keeper, ident)
        if found is None or options.passphrase_fd is not None:
            chosen = scope or (_default_scope(found) if found else None)
            ok = _approve(keeper, _ident(ident, found), chosen)
        else:
            ok = _decide(keeper, found, scope)
    _report(options, ok)


def _find(keeper: Keeper, ident: str | None) -> Card | None:
    """The card to show: by id, or the oldest. Cards of other sessions take a proof, which an id by script saves."""
    if ident is not None and keeper.options.passphrase_fd is not None:
        return None
    waiting = cast("list[Card]", _ask(keeper, everybody=True).get("approvals", []))
    if ident is None:
        if not waiting:
            tui.note("nothing waits")
            raise SystemExit(UNKNOWN)
        return max(waiting, key=lambda card: cast("int", card.get("waits", 0)))
    found = next((card for card in waiting if card.get("id") == ident.upper()), None)
    if found is None:
        raise KvError("unknown-approval", id=ident)
    return found


def _ask(keeper: Keeper, *, everybody: bool) -> dict[str, object]:
    return (keeper.act("approvals", {}) if everybody else keeper.ask("approvals")).ok


def _ident(ident: str | None, found: Card | None) -> str:
    return ident.upper() if ident else str((found or {}).get("id", ""))


def _default_scope(card: Mapping[str, object]) -> str:
    scopes = cast("list[str]", card.get("scopes", []))
    return "session" if card.get("kind") == "admission" and "session" in scopes else "once"


def _decide(keeper: Keeper, card: Card, scope: str | None) -> dict[str, object]:
    """Show the card, take the answer, prove it."""
    with Terminal() as terminal:
        refuse_agent()
        for line in cards.lines(card, home(), terminal.width):
            terminal.print(line)
        if scope is None:
            scope = _ask_scope(terminal, card)
    if scope == "deny":
        return {**keeper.act("deny", {"id": card["id"]}).ok, "denied": True}
    return {**_approve(keeper, str(card["id"]), scope), "scope": scope, "card": card}


def _ask_scope(terminal: Terminal, card: Card) -> str:
    offered = cast("list[str]", card.get("scopes", []))
    while True:
        key = terminal.ask(f"{cards.choices(card)}     ").lower()[:1]
        if key == "d":
            return "deny"
        if _KEYS.get(key) in offered:
            return _KEYS[key]


def _approve(keeper: Keeper, ident: str, scope: str | None) -> dict[str, object]:
    args: dict[str, object] = {"id": ident}
    if scope is not None:
        args["scope"] = scope
    return keeper.act("approve", args).ok


def _report(options: Options, ok: dict[str, object]) -> None:
    card = cast("Card", ok.pop("card", {}))
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(_outcome(ok, card))


def _outcome(ok: Mapping[str, object], card: Mapping[str, object]) -> str:
    """The answer, and what became of the call."""
    return _answer(ok, card) if ok.get("denied") else f"{_answer(ok, card)}. {_resumed(ok)}"


def _answer(ok: Mapping[str, object], card: Mapping[str, object]) -> str:
    scope = str(ok.get("scope"))
    if ok.get("denied"):
        return f"denied: {ok.get('id')}"
    if card.get("kind") == "admission":
        span = {"session": " for this session", "project": " for this project, 30 days"}.get(scope, "")
        return f"admitted: {card.get('connection')}{span}"
    return f"approved{ {'once': ' once', 'session': ' for this session'}.get(scope, '') }"


def _resumed(ok: Mapping[str, object]) -> str:
    if ok.get("status"):
        return f"HTTP {ok['status']}"
    return "the call goes on" if ok.get("resumed") else "it counts when the call is made again"


def deny(options: Options, *, ident: IdArgument = None) -> None:
    """Say no to a call that waits. Without an ID, to the oldest one.

    \b
      kv deny 7F3K
    """
    with acting(options) as keeper:
        found = _find(keeper, ident) if ident is None else None
        ok = keeper.act("deny", {"id": _ident(ident, found)}).ok
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(f"denied: {ok.get('id')}")


def approvals(
    options: Options,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Those of every session; takes a proof.")] = False,
    unfreeze: Annotated[
        str | None, typer.Option("--unfreeze", metavar="SESSION", help="Let a frozen session ask again; takes a proof.")
    ] = None,
) -> None:
    """List the calls that wait for a person.

    One's own, or with --all (or --passphrase-fd) everybody's.

    \b
      kv approvals --all
    """
    with acting(options) as keeper:
        if keeper.locked:
            raise KvError("locked")
        if unfreeze is not None:
            keeper.act("unfreeze", {"session": unfreeze})
            tui.note(f"session {unfreeze} may ask again")
        found = _ask(keeper, everybody=everybody or options.passphrase_fd is not None)
    waiting = cast("list[Card]", found.get("approvals", []))
    if options.as_json:
        tui.print_json(waiting)
        return
    if not waiting:
        tui.note("nothing waits")
    for card in waiting:
        for line in cards.lines(card, home(), tui.width() or cards.WIDTH):
            tui.say(line)
    for session, why in cast("dict[str, str]", found.get("frozen", {})).items():
        tui.say(f"session {session} is frozen: {why}   (kv approvals --unfreeze {session})")


def answer_in_place(vault: str, told: Mapping[str, object]) -> None:
    """Ask the person who made the call, where they made it. Called by `kv api` while its call waits.

    A no, a wrong proof or Ctrl-D leave the call to its fate; the keeper has the last word in any case.
    """
    card = told.get("card")
    if not isinstance(card, dict):
        return
    with acting(Options(vault=vault)) as keeper:
        take_shelter()
        ok = _decide(keeper, card, None)
    if ok.get("denied"):
        raise SystemExit(DENIED)
    tui.note(_answer(ok, card))
