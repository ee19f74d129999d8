"""Secrets and their values: set, rotate, generate."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from kv.cli import completing, tui
from kv.cli.connecting import choose, told
from kv.cli.declare import Wish  # noqa: TC001 - the signature is read at run time
from kv.cli.keeper import acting, take_shelter
from kv.cli.looking import after
from kv.cli.options import Options, verb
from kv.cli.value import check_arguments, read_value
from kv.cli.wishing import wished

StdinOption = Annotated[bool, typer.Option("--stdin", help="Take the value from standard input.")]
FileOption = Annotated[str | None, typer.Option("--file", metavar="PATH", help="Take the value from a file.")]
ClassOption = Annotated[str | None, typer.Option("--class", metavar="CLASS", help="low, normal or high.")]
NoteOption = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="A line about it, sealed like its name.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs to `app`."""
    verb(app, "set", extra=True, groups={"wish": wished})(
        set_
    )  # more words are refused by `check_arguments`, which says what they mean
    verb(app, "rotate", extra=True)(rotate)
    verb(app, "generate")(generate)


def set_(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    name: completing.NameArgument,
    stdin: StdinOption = False,
    file: FileOption = None,
    cls: ClassOption = None,
    note: NoteOption = None,
    connection: Annotated[
        str | None, typer.Option("--connection", metavar="NAME", help="The connection that uses it.")
    ] = None,
    no_connection: Annotated[bool, typer.Option("--no-connection", help="Make none, and do not ask.")] = False,
    wish: Wish,
) -> None:
    """Store a value, and make the connection that uses it.

    The value is asked for hidden, or comes by --stdin or --file; never as an argument. A known service is recognised
    by the name and the value's shape, a database by its DSN.

    A new value for a name that exists is a new revision; its connection stays.

    \b
      kv set OPENAI_API_KEY
      kv set prod/API_KEY --connection api --host https://api.test --auth bearer
      kv set DATABASE_URL
      kv set DB_PW --kind mysql --host db.test --user app --database shop
      printf %s "$VALUE" | kv set prod/API_KEY --stdin --passphrase-fd 3
    """
    check_arguments(name, options.extra, stdin=stdin, file=file)
    name = options.name(name)
    with acting(options) as keeper:
        keeper.require_vault()  # or a value is typed for nothing
        take_shelter()
        interactive = not stdin and file is None
        value = read_value(name, stdin=stdin, file=file, proof=options.passphrase_fd is not None)
        args: dict[str, object] = {"name": name, "class": cls, "note": note}
        if not no_connection:
            chosen = None if connection is None else options.name(connection)
            declaration = choose(keeper, name, value.expose(), chosen, wish, interactive=interactive)
            args["connection"] = declaration
        answer = keeper.act("set", _said(args), value.expose())
        value.wipe()
        if not options.as_json:
            _stored(options, answer.ok)
        declared = cast("dict[str, object]", args.get("connection") or {})
        looked = after(keeper, options, str(declared["name"])) if declared else {}
        if options.as_json:
            _stored(options, {**answer.ok, **looked})


def rotate(
    options: Options,
    *,
    name: completing.NameArgument,
    stdin: StdinOption = False,
    file: FileOption = None,
) -> None:
    """Give a secret a new value. Its connection and class stay; the old value is kept as a revision.

    \b
      kv rotate STRIPE_SECRET_KEY
    """
    check_arguments(name, options.extra, stdin=stdin, file=file)
    name = options.name(name)
    with acting(options) as keeper:
        take_shelter()
        keeper.reach()
        keeper.ask("show", {"name": name})
        value = read_value(name, stdin=stdin, file=file, proof=options.passphrase_fd is not None)
        answer = keeper.act("set", {"name": name}, value.expose())
        value.wipe()
    _stored(options, answer.ok)


def generate(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    name: completing.NameArgument,
    length: Annotated[int, typer.Option("--length", metavar="N", help="Characters, 8 to 1024.")] = 32,
    alphabet: Annotated[
        str, typer.Option("--alphabet", metavar="KIND", help="alnum, hex, base64url, symbols or digits.")
    ] = "alnum",
    cls: ClassOption = None,
    note: NoteOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Give an existing name a new value.")] = False,
) -> None:
    """Make a random value in the keeper, shown to nobody.

    \b
      kv generate dev/DB_PASSWORD --length 40
    """
    args = {"name": options.name(name), "length": length, "alphabet": alphabet, "class": cls, "note": note}
    with acting(options) as keeper:
        answer = keeper.act("generate", {**_said(args), "replace": replace})
    _stored(options, answer.ok)


def _said(args: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in args.items() if value is not None}


def _stored(options: Options, ok: dict[str, object]) -> None:
    if options.as_json:
        tui.print_json(ok)
        return
    tui.say(f"stored {ok.get('name')}   (revision {ok.get('revision')}){told(ok)}")
    for warning in cast("list[str]", ok.get("warnings") or []):
        tui.warn(warning)
