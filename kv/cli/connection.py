"""Connections: connect, connections."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from kv.cli import completing, connecting, tui
from kv.cli.declare import Wish
from kv.cli.keeper import acting, look
from kv.cli.options import Options, verb
from kv.errors import KvError

_RULE = "A rule, as in 'DELETE /v1/**'; repeat for more."


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "connect")(connect)
    verb(app, "connections")(connections)


def connect(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    name: completing.ConnectionArgument,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="[SLOT=]NAME", help="The secret it uses; repeat where auth takes several."),
    ] = None,
    host: connecting.HostOption = None,
    auth: connecting.AuthOption = None,
    provider: connecting.ProviderOption = None,
    ca: connecting.CaOption = None,
    allow_address: connecting.AddressOption = None,
    admission: connecting.AdmissionOption = None,
    insecure_loopback: connecting.LoopbackOption = False,
    encoded_slash: connecting.SlashOption = None,
    preset: Annotated[str | None, typer.Option("--preset", help="balanced, relaxed or strict.")] = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="RULE", help=_RULE)] = None,
    ask: Annotated[list[str] | None, typer.Option("--ask", metavar="RULE", help=_RULE)] = None,
    deny: Annotated[list[str] | None, typer.Option("--deny", metavar="RULE", help=_RULE)] = None,
    calls_per_hour: Annotated[
        int | None, typer.Option("--calls-per-hour", metavar="N", help="A budget; 0 for none.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the connection; its secret stays.")] = False,
) -> None:
    """Make a connection, or change one.

    What is not said stays as it is. Rules replace the rules it had.

    \b
      kv connect api --secret API_KEY --host https://api.test --auth header:X-Key
      kv connect stripe --deny 'DELETE /**' --admission always
    """
    wish = Wish(
        host=host,
        auth=auth,
        provider=provider,
        ca=ca,
        addresses=tuple(allow_address or ()),
        admission=admission,
        insecure_loopback=insecure_loopback,
        encoded_slash=encoded_slash,
        preset=preset,
        rules=_rules(allow=allow, ask=ask, deny=deny),
        calls_per_hour=calls_per_hour,
        secrets=tuple(_full(options, text) for text in secret or ()),
    )
    full = options.name(name)
    if remove == (not wish.empty):
        why = "--remove takes no other option" if remove else "say what to change, or --remove"
        raise KvError("usage", why=f"{why}; kv connect --help shows how")
    args: dict[str, object] = {"name": full}
    args |= {"remove": True} if remove else {"declaration": wish.declaration(full)}
    with acting(options) as keeper:
        ok = keeper.act("connect", args).ok
    if options.as_json:
        tui.print_json(ok)
    else:
        tui.say(f"connection {full} {'removed' if remove else 'is set'}")


def _rules(**by_verdict: list[str] | None) -> tuple[tuple[str, str], ...]:
    return tuple((verdict, text) for verdict, texts in by_verdict.items() for text in texts or ())


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
    return "  ".join(part for part in parts if part and part != "balanced")
