"""Options that every verb takes, before or after it, and the decorator that gives them to each.

Rules of this file
- The same five options everywhere, so that no verb may give one of them another meaning.
- A verb is a function whose first parameter is an `Options`; what is left of its signature is its own.
"""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, get_type_hints

import typer

from kv.hot.arguments import full_name, prefix
from kv.paths import vault_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EPILOG = "Every verb takes --vault PATH, --env PREFIX, --json, --no-color and --passphrase-fd N: kv --help."


def completing() -> bool:
    """Whether the shell asks for completions: it is offered the options of every verb, and no help page is meant."""
    return "_KV_COMPLETE" in os.environ


class _Common(NamedTuple):
    """An option of every verb: its type with None or False for not given, spellings, metavar, help."""

    kind: object
    spellings: tuple[str, ...]
    metavar: str | None
    help: str


_COMMON = {
    "vault": _Common(str | None, ("--vault",), "PATH", "Another vault than $KV_VAULT or the default."),
    "env": _Common(
        str | None, ("--env", "-e"), "PREFIX", "Default prefix of names: -e prod makes KEY prod/KEY ($KV_ENV)."
    ),
    "as_json": _Common(bool, ("--json",), None, "Print JSON."),
    "no_color": _Common(bool, ("--no-color",), None, "No colours ($NO_COLOR)."),
    "passphrase_fd": _Common(
        int | None, ("--passphrase-fd",), "N", "Read the passphrase from this descriptor, as proof of this act."
    ),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the common options say. `extra` are words beyond the verb's own, where it has a message for those."""

    vault: str | None = None
    env: str | None = None
    as_json: bool = False
    no_color: bool = False
    passphrase_fd: int | None = None
    extra: tuple[str, ...] = ()

    def over(self, outer: Options) -> Options:
        """These, with what they leave out taken from those before the verb."""
        return Options(
            vault=self.vault if self.vault is not None else outer.vault,
            env=self.env if self.env is not None else outer.env,
            as_json=self.as_json or outer.as_json,
            no_color=self.no_color or outer.no_color,
            passphrase_fd=self.passphrase_fd if self.passphrase_fd is not None else outer.passphrase_fd,
            extra=self.extra,
        )

    @property
    def path(self) -> str:
        """The vault's absolute path."""
        return vault_path(self.vault)

    def name(self, given: str) -> str:
        """A secret's full name: with the prefix in front unless it has a path already; `/KEY` takes none."""
        return full_name(given, self.env)

    @property
    def prefix(self) -> str:
        """The default prefix of names, without slashes at its ends."""
        return prefix(self.env)


def common(*, hidden: bool) -> list[inspect.Parameter]:
    """The common options as parameters of a function."""
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=typer.Option(
                False if row.kind is bool else None, *row.spellings, metavar=row.metavar, help=row.help, hidden=hidden
            ),
            annotation=row.kind,
        )
        for name, row in _COMMON.items()
    ]


def sign(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a function the signature that typer reads: its own is `**arguments`."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect's protocol
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def take(arguments: dict[str, object]) -> Options:
    """Remove the common options from `arguments` and return them."""
    found = Options(**{name: arguments.pop(name) for name in _COMMON})  # type: ignore[arg-type]  # typer typed them
    if found.no_color:
        os.environ["NO_COLOR"] = "1"
    return found


def _parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    hints = get_type_hints(function, include_extras=True)
    return [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[p.name])
        for p in inspect.signature(function).parameters.values()
    ]


def verb(
    app: typer.Typer,
    name: str,
    *,
    extra: bool = False,
    more: str = "",
    groups: Mapping[str, Callable[..., object]] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a verb of `app`, with the common options added. `extra`: see `Options.extra`.

    Its help is the function's docstring, and `more` below that. A parameter that `groups` names is what its function
    makes of the options that are that function's parameters: options that verbs share, and that mean one thing.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def run(ctx: typer.Context, **arguments: object) -> None:
            outer = ctx.obj if isinstance(ctx.obj, Options) else Options()
            given = replace(take(arguments), extra=tuple(ctx.args))
            for group, make in made.items():
                arguments[group] = make(**{p.name: arguments.pop(p.name) for p in _parameters(make)})
            function(given.over(outer), **arguments)

        made = groups or {}
        own = [
            each for p in _parameters(function)[1:] for each in (_parameters(made[p.name]) if p.name in made else [p])
        ]
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        sign(run, [context, *own, *common(hidden=not completing())])  # kv's own page lists them once
        run.__doc__ = "\n\n".join(filter(None, [inspect.getdoc(function), more]))
        app.command(name, epilog=EPILOG, context_settings={"allow_extra_args": extra})(run)
        return function

    return decorate
