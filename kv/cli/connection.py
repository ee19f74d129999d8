"""Connections: connect, connections."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, cast

import typer

from kv.cli import completing, tui
from kv.cli.declare import Server, Wish
from kv.cli.hostkeys import pinned
from kv.cli.keeper import acting, look
from kv.cli.looking import after, look_at, tell
from kv.cli.options import Options, verb
from kv.cli.wishing import ruled, served, wished
from kv.errors import KvError


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "connect", groups={"wish": wished, "rules": ruled, "server": served})(connect)
    verb(app, "connections")(connections)


def connect(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    name: completing.ConnectionArgument,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="[SLOT=]NAME", help="The secret it uses; repeat where auth takes several."),
    ] = None,
    wish: Wish,
    rules: Wish,
    server: Server,
    check: Annotated[
        bool, typer.Option("--check", help="Look at a database's role, and say what it can do too much.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the connection; its secret stays.")] = False,
) -> None:
    """Make a connection, or change one.

    What is not said stays as it is, an empty word takes it back. Rules replace the rules it had.

    \b
      kv connect api --secret API_KEY --host https://api.test --auth header:X-Key
      kv connect stripe --deny 'DELETE /**' --admission always
      kv connect web --root '' --jump ''
      kv connect shop --function my_total
      kv connect notes --kind sqlite --path notes.db
    """
    secrets = tuple(_full(options, text) for text in secret or ())
    wish = replace(wish.over(rules), server=None if server == Server() else server, secrets=secrets)
    full = options.name(name)
    if (remove or check) == (not wish.empty) or (remove and check):
        word = "--remove" if remove else "--check" if check else ""
        why = f"{word} takes no other option" if word else "say what to change, or --remove"
        raise KvError("usage", why=f"{why}; kv connect --help shows how")
    if check:
        with acting(options) as keeper:
            tell(options, look_at(keeper, full))
        return
    args: dict[str, object] = {"name": full}
    with acting(options) as keeper:
        args |= {"remove": True} if remove else {"declaration": pinned(keeper, wish, full).declaration(full)}
        ok = keeper.act("connect", args).ok
        if not options.as_json:
            tui.say(f"connection {full} {'removed' if remove else 'is set'}")
        looked = {} if remove else after(keeper, options, full)
        if options.as_json:
            tui.print_json({**ok, **looked})


def _full(options: Options, text: str) -> str:
    slot, mark, name = text.rpartition("=")
    return f"{slot}{mark}{options.name(name)}"


def connections(options: Options) -> None:
    """List connections: where they lead, what they use.

    \b
      kv connections --json
    """
    found = look(options, "list", {"prefix": options.prefix})
    rows = cast("list[dict[str, object]]", found.get("connections", []))
    if options.as_json:
        tui.print_json(rows)
        return
    if not rows:
        tui.note("no connections yet: kv set NAME makes one for a known service, kv connect any other")
    tui.table([[r["name"], f"{r.get('origin', '')}{r.get('base_path', '')}", r.get("auth"), _terms(r)] for r in rows])


def _terms(row: dict[str, object]) -> str:
    names = ", ".join(map(str, cast("list[object]", row.get("secrets") or [])))
    parts = [names, "no admission" if row.get("admission") == "always" else "", str(row.get("preset") or "")]
    return ", ".join(part for part in parts if part and part != "balanced")
