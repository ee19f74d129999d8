"""The options that say what a connection is to be, in groups that verbs share.

Rules of this file
- Each group is a function whose parameters are the options; what it makes of them is one argument of the verb.
- An empty word takes back what a connection has; an option that is not given leaves it.
- Nothing is judged here: `declare` spells it for the wire, and the keeper checks.
"""

from __future__ import annotations

from typing import Annotated

import typer

from kv.cli.declare import Server, Wish
from kv.registry import AUTH, DEFAULT_KIND, KINDS

LeftOpen = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="What a known service leaves open; repeat for more."),
]
_KINDS = ", ".join([f"{DEFAULT_KIND} (default)", *(name for name in KINDS if name != DEFAULT_KIND)])
_RULE = "A rule, as in 'DELETE /v1/**'; repeat for more."


def wished(  # noqa: PLR0913 - the options that say where a credential may go
    *,
    kind: Annotated[
        str | None,
        typer.Option("--kind", metavar="KIND", help=f"{_KINDS}; a DSN says it itself."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="URL", help="Where the credential may go: https://…, or HOST[:PORT]."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="NAME", help="Who logs in to a database.")] = None,
    database: Annotated[str | None, typer.Option("--database", metavar="NAME", help="Which database it is.")] = None,
    tls: Annotated[
        str | None, typer.Option("--tls", metavar="HOW", help="verify-full, or plain on loopback, to a database.")
    ] = None,
    ssh: Annotated[
        str | None, typer.Option("--ssh", metavar="USER@HOST[:PORT]", help="It logs in to this server, by ssh.")
    ] = None,
    host_key: Annotated[
        list[str] | None,
        typer.Option("--host-key", metavar="KEY", help="The server's key, 'ssh-ed25519 AAAA…'; repeat for more."),
    ] = None,
    auth: Annotated[
        str | None, typer.Option("--auth", metavar="SCHEME[:…]", help=f"How it enters a request: {', '.join(AUTH)}.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="A known service: kv providers.")
    ] = None,
    option: LeftOpen = None,
    ca: Annotated[str | None, typer.Option("--ca", metavar="FILE", help="A private CA, in PEM.")] = None,
    allow_address: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-address", metavar="IP", help="Pin this exact address, DNS is not asked; repeat for more."
        ),
    ] = None,
    admission: Annotated[
        str | None, typer.Option("--admission", metavar="ask|always", help="Ask once per session (default), or never.")
    ] = None,
    insecure_loopback: Annotated[
        bool, typer.Option("--insecure-loopback", help="Plain HTTP, or a password in the clear: to this machine only.")
    ] = False,
) -> Wish:
    """What `kv set` and `kv connect` let a person say alike."""
    return Wish(
        kind=kind,
        host=host,
        user=user,
        database=database,
        tls=tls,
        ssh=ssh,
        host_keys=tuple(host_key or ()),
        auth=auth,
        options=tuple(option or ()),
        provider=provider,
        ca=ca,
        addresses=_said(allow_address),
        admission=admission,
        insecure_loopback=insecure_loopback,
    )


def ruled(  # noqa: PLR0913 - the options that say what may be done
    *,
    path: Annotated[str | None, typer.Option("--path", metavar="FILE", help="The file of a SQLite database.")] = None,
    function: Annotated[
        list[str] | None,
        typer.Option("--function", metavar="NAME", help="An SQL function that only reads; repeat for more."),
    ] = None,
    encoded_slash: Annotated[
        bool | None,
        typer.Option("--encoded-slash/--no-encoded-slash", help="Whether a path's segment may hold a slash, as %2F."),
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="balanced, relaxed or strict.")] = None,
    allow: Annotated[list[str] | None, typer.Option("--allow", metavar="RULE", help=_RULE)] = None,
    ask: Annotated[list[str] | None, typer.Option("--ask", metavar="RULE", help=_RULE)] = None,
    deny: Annotated[list[str] | None, typer.Option("--deny", metavar="RULE", help=_RULE)] = None,
    calls_per_hour: Annotated[
        int | None, typer.Option("--calls-per-hour", metavar="N", help="A budget; 0 for none.")
    ] = None,
) -> Wish:
    """What only `kv connect` says, of every connection or of one kind."""
    return Wish(
        path=path,
        functions=_said(function),
        encoded_slash=encoded_slash,
        preset=preset,
        rules=_rules(allow=allow, ask=ask, deny=deny),
        calls_per_hour=calls_per_hour,
    )


def served(  # noqa: PLR0913 - what is said of a server
    *,
    jump: Annotated[
        str | None, typer.Option("--jump", metavar="NAME", help="Reach the server through this ssh connection.")
    ] = None,
    profiles: Annotated[
        str | None, typer.Option("--profiles", metavar="FILE", help="Named commands for a server, in JSON or TOML.")
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option("--command", metavar="WORDS", help="A command that need not ask, * for a word; repeat for more."),
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option("--root", metavar="FOLDER", help="A folder there to read and copy below; repeat for more."),
    ] = None,
    remote_folder: Annotated[
        str | None, typer.Option("--remote-folder", metavar="FOLDER", help="Where commands run there.")
    ] = None,
    remote_variable: Annotated[
        list[str] | None,
        typer.Option(
            "--remote-variable", metavar="NAME", help="A variable that a call may set there; repeat for more."
        ),
    ] = None,
    certificate: Annotated[
        str | None, typer.Option("--certificate", metavar="FILE", help="The key's certificate, for a server.")
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option("--principal", metavar="NAME", help="Whom one-command certificates are for; repeat for more."),
    ] = None,
    source_address: Annotated[
        str | None, typer.Option("--source-address", metavar="NET", help="From where such certificates are good.")
    ] = None,
) -> Server:
    """What only `kv connect` says, of servers."""
    return Server(
        jump=jump,
        profiles=profiles,
        allow=_said(command),
        roots=_said(root),
        cwd=remote_folder,
        env=_said(remote_variable),
        certificate=certificate,
        principals=_said(principal),
        source_address=source_address,
    )


def _said(given: list[str] | None) -> tuple[str, ...] | None:
    """None where nothing was said; what was, without the empty words: `--root ''` takes the folders back."""
    return None if given is None else tuple(filter(None, given))


def _rules(**by_verdict: list[str] | None) -> tuple[tuple[str, str], ...] | None:
    said = {verdict: texts for verdict, texts in by_verdict.items() if texts is not None}
    return tuple((verdict, text) for verdict, texts in said.items() for text in texts if text) if said else None
