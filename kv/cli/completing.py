"""What the shell completes: names of secrets and connections, asked of a running keeper; providers; methods.

Rules of this file
- Names only, and nothing is started for them: a locked vault completes nothing, and no error ever reaches the shell.
- `--vault` and `-e` count wherever they stand on the line, as they will when Enter is pressed.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, cast

import typer

from kv.cli.keeper import look
from kv.cli.options import Options
from kv.errors import KvError

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def secrets(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of secrets that begin so."""
    return _named(_options(ctx), "secrets", incomplete)


def connections(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of connections that begin so."""
    return _named(_options(ctx), "connections", incomplete)


def providers(incomplete: str) -> list[str]:
    """Names of known services that begin so."""
    names: list[str] = import_module("brokers.http.catalogue").names()
    return _beginning(names, incomplete)


def clients(incomplete: str) -> list[str]:
    """Names of AI clients that begin so."""
    names: tuple[str, ...] = import_module("editor_setup.catalogue").names()
    return _beginning(list(names), incomplete)


def call(ctx: typer.Context, incomplete: str) -> list[str]:
    """The words of a call: a connection, then a method; a path is nobody's to guess."""
    words = _whole([word for word in ctx.params.get("words") or [] if not word.startswith("-")])
    if not words:
        return _beginning(_names(_options(ctx), "connections"), incomplete)
    methods = [method.lower() if incomplete.islower() else method for method in _METHODS]
    return _beginning(methods, incomplete) if len(words) == 1 else []


def database(ctx: typer.Context, incomplete: str) -> list[str]:
    """The first word of a query: a connection to a database. A statement is nobody's to guess."""
    return [] if ctx.params.get("words") else _named(_options(ctx), "connections", incomplete)


def _whole(words: list[str]) -> list[str]:
    """The words without what bash, which takes `-q a=b` for four of them, split off an option's value."""
    return [word for word, before in zip(words, ["", *words], strict=False) if "=" not in {word, before}]


def _options(ctx: typer.Context) -> Options:
    """What the line says so far, before the verb and after it."""
    found = Options()
    at: typer.Context | None = ctx
    while at is not None:
        given = [value if isinstance(value := at.params.get(name), str) else None for name in ("vault", "env")]
        found = found.over(Options(vault=given[0], env=given[1]))
        at = cast("typer.Context | None", at.parent)
    return found


def _named(options: Options, kind: str, incomplete: str) -> list[str]:
    """Names as they are typed: below the prefix, they need not repeat it."""
    whole = options.name(incomplete)
    left_out = len(whole) - len(incomplete)
    return [name[left_out:] for name in _beginning(_names(options, kind), whole)]


def _names(options: Options, kind: str) -> list[str]:
    try:
        rows = cast("list[dict[str, object]]", look(options, "list").get(kind, []))
    except (KvError, OSError):
        return []
    return [str(row["name"]) for row in rows]


def _beginning(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False, autocompletion=secrets)]
ConnectionArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False, autocompletion=connections)]
