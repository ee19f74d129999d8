"""Secrets by their names, never by their values: ls, show, history, restore, mv, rm."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from kv.cli import completing, tui
from kv.cli.connecting import told
from kv.cli.keeper import Keeper, acting, look
from kv.cli.options import Options, verb
from kv.errors import KvError


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "ls")(ls)
    verb(app, "show")(show)
    verb(app, "peek")(peek)
    verb(app, "history")(history)
    verb(app, "restore")(restore)
    verb(app, "mv")(mv)
    verb(app, "rm")(rm)


def ls(
    options: Options,
    *,
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", show_default=False)] = "",
) -> None:
    """List names, never values.

    \b
      kv ls prod
    """
    found = look(options, "list", {"prefix": prefix or options.prefix})
    secrets = cast("list[dict[str, object]]", found.get("secrets", []))
    if options.as_json:
        tui.print_json(secrets)
        return
    if not secrets:
        tui.note("no secrets here yet: kv set NAME, or kv import .env")
    tui.table([[s["name"], s["class"], _used_by(s), tui.ago(s.get("changed"))] for s in secrets])


def _used_by(secret: dict[str, object]) -> str:
    names = cast("list[str]", secret["connections"])
    return "-> " + ", ".join(names) if names else "-"


def show(options: Options, *, name: completing.NameArgument) -> None:
    """Show a secret or a connection, without its value.

    \b
      kv show stripe
    """
    with acting(options) as keeper:
        found = _find(keeper, options.name(name))
    if options.as_json:
        tui.print_json(found)
        return
    for key, value in found.items():
        if value not in (None, "", [], {}):
            shown = tui.ago(value) if key in {"changed", "created"} else value
            tui.table([[f"{key:<11}", ", ".join(map(str, shown)) if isinstance(shown, list) else shown]])


def _find(keeper: Keeper, name: str) -> dict[str, object]:
    try:
        return keeper.ask("show", {"name": name}).ok
    except KvError as error:
        if error.code != "unknown-secret":
            raise
        known = cast("list[dict[str, object]]", keeper.ask("connections").ok.get("connections", []))
        for connection in known:
            if connection.get("name") == name:
                return connection
        raise


def peek(options: Options, *, name: completing.NameArgument) -> None:
    """Print a fingerprint of a secret's value.

    It tells values apart (was it rotated? are two the same?) and holds nothing of them: it is made under a key of the
    vault's.

    \b
      kv peek STRIPE_SECRET_KEY
    """
    found = look(options, "peek", {"name": options.name(name)})
    if options.as_json:
        tui.print_json(found)
    else:
        tui.say(str(found.get("fingerprint")))


def history(options: Options, *, name: completing.NameArgument) -> None:
    """List the kept revisions of a secret.

    Newest first: when, never what.

    \b
      kv history STRIPE_SECRET_KEY
    """
    with acting(options) as keeper:
        found = keeper.ask("history", {"name": options.name(name)}).ok
    revisions = cast("list[dict[str, object]]", found.get("revisions", []))
    if options.as_json:
        tui.print_json(revisions)
        return
    tui.table([[f"revision {r['revision']}", tui.ago(r.get("changed")), r.get("note") or ""] for r in revisions])


def restore(
    options: Options,
    *,
    name: completing.NameArgument,
    revision: Annotated[int, typer.Argument(metavar="REVISION", show_default=False)],
) -> None:
    """Bring an older value back, as a new revision.

    \b
      kv restore STRIPE_SECRET_KEY 3
    """
    with acting(options) as keeper:
        ok = keeper.act("restore", {"name": options.name(name), "revision": revision}).ok
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(f"restored {ok.get('name')} from revision {revision}   (revision {ok.get('revision')})")


def mv(
    options: Options,
    *,
    old: Annotated[str, typer.Argument(metavar="OLD", show_default=False, autocompletion=completing.secrets)],
    new: Annotated[str, typer.Argument(metavar="NEW", show_default=False)],
) -> None:
    """Rename a secret. Connections that use it follow.

    \b
      kv mv API_KEY prod/API_KEY
    """
    with acting(options) as keeper:
        ok = keeper.act("mv", {"old": options.name(old), "new": options.name(new)}).ok
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(f"{options.name(old)} is {ok.get('name')} now{told(ok)}")


def rm(
    options: Options,
    *,
    name: completing.NameArgument,
    connections: Annotated[
        bool, typer.Option("--connections", help="Remove the connections that use it as well.")
    ] = False,
) -> None:
    """Remove a secret with all its revisions.

    There is no way back but a backup.

    \b
      kv rm OLD_KEY
    """
    full = options.name(name)
    with acting(options) as keeper:
        keeper.reach()
        users = cast("list[str]", keeper.ask("show", {"name": full}).ok.get("connections") or [])
        for user in users if connections else []:
            keeper.act("connect", {"name": user, "remove": True})
        keeper.act("rm", {"name": full})
    if options.as_json:
        tui.print_json({"name": full, "connections": users if connections else []})
    else:
        tui.say(f"removed {', '.join([full, *(users if connections else [])])}")
