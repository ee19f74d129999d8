"""Verbs that belong to no noun: demo, and the hot ones as `kv --help` shows them."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from kv.cli import completing
from kv.cli.options import Options, verb
from kv.hot import HOT

_Words = Annotated[list[str] | None, typer.Argument(show_default=False, autocompletion=completing.call)]
_ABOUT = {
    "api": "Make an HTTP call; kv adds the credential.",
    "explain": "Show how a call would be judged.",
    "wait": "Take up the result of a call that waited.",
    "status": "Say whether the vault is unlocked, and for how long.",
    "mcp": "Serve the tools of an AI agent, on stdio.",
    "version": "Print the version.",
}


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`. Those of `_ABOUT` are performed by `kv.__main__`, before this file is ever read."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    for name, about in _ABOUT.items():
        perform = _call if name in {"api", "explain"} else _elsewhere
        app.command(name, help=about, add_help_option=False, context_settings=settings)(perform)
    verb(app, "demo")(demo)


def _call(ctx: typer.Context, words: _Words = None) -> None:
    """As `_elsewhere`; the words are declared for the shell, which completes them."""
    ctx.args[:0] = words or []
    _elsewhere(ctx)


def _elsewhere(ctx: typer.Context) -> None:
    """Reached only when options stand before the verb that `kv.__main__` does not know as global ones."""
    verb_name = str(ctx.info_name)
    if verb_name in HOT:
        raise SystemExit(import_module(HOT[verb_name]).main(verb_name, ctx.args))
    raise typer.Exit(2)


def demo(options: Options) -> None:
    """Show the main job on a throw-away vault.

    A call, a refusal, an approval, a replay and the audit, against a real server on this machine: no account, no
    network.

    \b
      kv demo
    """
    del options
    raise SystemExit(import_module("kv.demo").main())
