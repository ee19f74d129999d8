"""The known services: providers.

Rules of this file
- What is shown is read from the packs themselves, so that what a person reads is what classes their calls.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from kv.cli import completing, tui
from kv.cli.declare import spell_auth
from kv.cli.options import Options, verb
from kv.errors import KvError
from kv.similar import similar

if TYPE_CHECKING:
    from brokers.http.pack import Endpoint, Pack


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "providers")(providers)


def providers(
    options: Options,
    *,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", show_default=False, autocompletion=completing.providers)
    ] = None,
) -> None:
    """List the known services, or show one.

    Of one: its host, auth, key shape, and what its endpoints do. A key of theirs is
    recognised by `kv set`, and gets its connection by itself.

    \b
      kv providers
      kv providers stripe
    """
    catalogue = import_module("brokers.http.catalogue")
    known: list[str] = catalogue.names()
    if name is not None:
        if name not in known:
            raise KvError("unknown-provider", name=name, similar=similar(name, known))
        _one(catalogue.load(name), as_json=options.as_json)
        return
    packs: list[Pack] = [catalogue.load(each) for each in known]
    if options.as_json:
        tui.print_json([_told(pack) for pack in packs])
    else:
        tui.table([[p.name, p.title, ", ".join(p.env)] for p in packs])


def _one(pack: Pack, *, as_json: bool) -> None:
    rows = [
        {"effect": row.effect.value, "methods": sorted(row.methods), "path": row.pattern.text, "doc": row.doc}
        | ({"gives": dict(row.gives)} if row.gives else {})
        for row in pack.endpoints
    ]
    told = _told(pack)
    if as_json:
        tui.print_json({**told, "endpoints": rows})
        return
    tui.say(f"{pack.name}  {pack.title}")
    tui.table(
        [
            ["host", told["host"] or "your own: --host https://…"],
            ["auth", told["auth"]],
            *([["you say", " ".join(f"--option {name}=…" for name in pack.open)]] if pack.open else []),
            ["names", ", ".join([*pack.env, *(each for names in pack.slots.values() for each in names)]) or "-"],
            ["key", told["key"] or "any shape"],
            ["docs", pack.docs],
            [
                "classes",
                f"read from the whole reference, {pack.verified}" if pack.verified else "in part; else by method",
            ],
        ],
        indent=2,
    )
    tui.table(
        [[row.effect.value, ", ".join(sorted(row.methods)) or "any", _path(row)] for row in pack.endpoints], indent=2
    )


def _path(row: Endpoint) -> str:
    """Where it is, and what of its answer goes into the vault."""
    gives = ", ".join(f"{member} -> {name}" for member, name in row.gives.items())
    return f"{row.pattern.text} ({gives})" if gives else row.pattern.text


def _told(pack: Pack) -> dict[str, object]:
    shapes = [shape.pattern for shape in (pack.distinctive, pack.shape) if shape is not None]
    return {
        "name": pack.name,
        "title": pack.title,
        "docs": pack.docs,
        "env": list(pack.env),
        "host": f"{pack.origin}{pack.base_path}",
        "auth": spell_auth(pack.auth.scheme, {**pack.auth.options, **{name: name.upper() for name in pack.auth.open}}),
        "open": list(pack.open),
        "key": " or ".join(shapes),
    }
