"""Verbs that belong to no noun: demo, and the hot ones as `kv --help` shows them and the shell completes them.

Rules of this file
- `kv.__main__` performs the hot verbs before this file is ever read. It declares their options once more, from their
  own tables, because the shell is offered what typer knows.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import typer

from kv.cli import completing
from kv.cli.options import Options, sign, verb
from kv.errors import KvError
from kv.hot import HOT
from kv.hot.arguments import GLOBAL, rows, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.hot.arguments import Table

_ABOUT = {
    "api": "Make an HTTP call; kv adds the credential.",
    "query": "Perform an SQL statement; kv logs in.",
    "schema": "Show the tables of a database.",
    "ssh": "Run a command on a server; kv logs in.",
    "ssh-copy": "Copy a file from or to a server.",
    "run": "Run a program with the secrets it needs.",
    "explain": "Show how a call would be judged.",
    "wait": "Take up the result of a call that waited.",
    "status": "Say whether the vault is unlocked, and for how long.",
    "take": "Take a value that was handed over, once.",
    "mcp": "Serve the tools of an AI agent, on stdio.",
    "version": "Print the version.",
}


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    settings = {"ignore_unknown_options": True, "help_option_names": []}  # a line that is half typed is no error
    for name, about in _ABOUT.items():
        table: Table = {**(_table(name) if name in HOT else {}), **GLOBAL}
        performed = _elsewhere(table, _COMPLETED.get(name))
        app.command(name, help=about, add_help_option=False, context_settings=settings)(performed)
    verb(app, "demo")(demo)


def _table(name: str) -> Table:
    module = import_module(HOT[name])
    table: Table = getattr(module, {"schema": "SCHEMA_OPTIONS", "ssh-copy": "COPY_OPTIONS"}.get(name, "OPTIONS"))
    return table


_COMPLETED = {
    "api": completing.call,
    "explain": completing.call,
    "query": completing.database,
    "schema": completing.database,
    "ssh": completing.database,
    "ssh-copy": completing.database,
}


def _elsewhere(table: Table, complete: Callable[..., list[str]] | None) -> Callable[..., None]:
    """A verb with the options of `table`. Run only where `kv.__main__` does not see the verb: `kv -eprod api …`."""

    def perform(ctx: typer.Context, words: list[str] | None, **given: object) -> None:
        name = str(ctx.info_name)
        if name not in HOT:
            raise KvError("usage", why=f"write kv {name} with nothing before it")
        mark = ["--"] if name in {"run", "ssh"} else []  # click has taken it; what follows is another program's
        options = {**_before(ctx), **{option: value for option, value in given.items() if value}}
        raise SystemExit(import_module(HOT[name]).main(name, [*spelled(table, options), *mark, *(words or [])]))

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    argument = typer.Argument(default=None, show_default=False, autocompletion=complete)
    sign(perform, [context, _parameter("words", argument, list[str] | None), *_options(table)])
    return perform


def _before(ctx: typer.Context) -> dict[str, object]:
    """The options that stood before the verb, by their names in `GLOBAL`."""
    outer = ctx.obj if isinstance(ctx.obj, Options) else Options()
    descriptor = None if outer.passphrase_fd is None else str(outer.passphrase_fd)
    return {"vault": outer.vault, "env": outer.env, "json": outer.as_json, "passphrase_fd": descriptor}


def _options(table: Table) -> list[inspect.Parameter]:
    """The options of a hot verb for typer. All are text: the verb itself judges what they mean."""
    found = []
    for name, spellings, metavar, says in rows(table):
        kind = bool if not metavar else list[str] | None if metavar.endswith("…") else str | None
        default = None if metavar else False
        complete = completing.secrets if metavar.startswith("NAME") else None
        option = typer.Option(default, *spellings, metavar=metavar or None, help=says, autocompletion=complete)
        found.append(_parameter(name, option, kind))
    return found


def _parameter(name: str, default: object, kind: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def demo(options: Options) -> None:
    """Show the main job on a throw-away vault.

    A call, a refusal, an approval, a replay and the audit, against a real server on this machine: no account, no
    network.

    \b
      kv demo
    """
    del options
    raise SystemExit(import_module("kv.demo").main())
