"""The application: every noun's verbs in one, and a wrong command line in one sentence.

Rules of this file
- A wrong command line is told by the names of options and arguments, never by what was typed for them.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import typer

from kv.cli.options import common, completing, sign, take
from kv.errors import USAGE, KvError
from kv.hot.arguments import named
from kv.similar import similar

if TYPE_CHECKING:
    from collections.abc import Callable

# The verbs of each noun's module: a command line costs what its own verb does, a twentieth of a second less than all.
NOUNS: dict[str, tuple[str, ...]] = {
    "init": ("init",),
    "vault": ("unlock", "lock", "panic", "passwd", "recover"),
    "secret": ("set", "rotate", "generate"),
    "get": ("get",),
    "inventory": ("ls", "show", "peek", "history", "restore", "mv", "rm"),
    "importing": ("import",),
    "backup": ("backup", "restore-backup"),
    "enrolment": ("totp", "pin"),
    "connection": ("connect", "connections"),
    "login": ("login",),
    "provider": ("providers",),
    "approval": ("approve", "deny", "approvals"),
    "audit": ("audit",),
    "daemon": ("daemon",),
    "doctor": ("doctor",),
    "setup": ("setup",),
    "elsewhere": (),  # the hot verbs, for their place in the help, and the demo
}

_HELP = """kv: let AI coding agents use credentials without holding them.

\b
  kv init                     make a vault
  kv set OPENAI_API_KEY       store a key; its connection is made by itself
  kv api openai GET /v1/models
  kv approve                  answer a call that waits for you
"""


def build(verb: str = "") -> typer.Typer:
    """The typer application with every verb, or with the noun of `verb` alone."""
    app = typer.Typer(
        name="kv",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(help=_HELP)(_callback())
    wanted = [noun for noun, verbs in NOUNS.items() if verb in verbs] or NOUNS
    for noun in wanted:
        import_module(f"kv.cli.{noun}").register(app)
    return app


def _callback() -> Callable[..., None]:
    """The options that stand before a verb, kept for it."""

    def before(ctx: typer.Context, **arguments: object) -> None:
        ctx.obj = take(arguments)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    sign(before, [context, *common(hidden=False)])
    return before


def main(argv: list[str]) -> int:
    """Run a command line; the exit status. Raises `KvError`."""
    from kv.__main__ import verb_place

    verb = next(iter(argv[verb_place(argv) :]), "")
    command = typer.main.get_command(build("" if completing() else verb))
    says_what = completing() or _names_a_verb(command, argv)
    try:
        status = command.main(argv if says_what else [*argv, "--help"], prog_name="kv", standalone_mode=False)
    except typer.TyperException as error:
        raise _usage(error) from None
    except typer.Abort:
        return 130
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None  # typer has a status of its own for a reader that went away; ours is 141
        return end.code if isinstance(end.code, int) else 1
    if not says_what:
        return USAGE
    return status if isinstance(status, int) else 0


def _names_a_verb(command: object, argv: list[str]) -> bool:
    """Whether there is a verb, on every level; `kv` and `kv audit` alone are answered with their help.

    Raises `usage` for one that there is not, with the nearest one that there is, and with `--json` for a missing one.
    """
    from kv.__main__ import verb_place

    path, rest = "kv", argv
    while known := getattr(command, "commands", {}):
        place = verb_place(rest)
        if place > len(rest) or (place < len(rest) and rest[place].startswith("-")):
            return True  # a value is missing, or the option is none of the global ones: typer says so
        if place == len(rest) and "--json" in argv:
            raise KvError("usage", why=f"the verb is missing; {path} --help lists them")
        if place == len(rest):
            return False
        word, rest = rest[place], rest[place + 1 :]
        if word not in known:
            raise KvError("usage", why=f"no such verb{similar(word, known)}; {path} --help lists them")
        command, path = known[word], f"{path} {word}"
    return True


def _usage(error: typer.TyperException) -> KvError:
    """A wrong command line, told by the names of options and arguments and never by what was typed for them."""
    option, known = getattr(error, "option_name", None), getattr(error, "possibilities", None) or ()
    parameter = getattr(error, "param", None)
    context = getattr(error, "ctx", None)
    verb = getattr(context, "command_path", "kv")
    if option and hasattr(error, "possibilities"):
        why = f"no {named(option)}{similar(option, known)}"
    elif option:
        why = f"{option} needs a value, or takes none"
    elif parameter is not None:
        what = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar or parameter.name
        why = f"{str(what).strip('[].')} is missing or malformed"
    else:
        why = "too many or too few words"
    return KvError("usage", why=f"{why}; {verb} --help shows how")
