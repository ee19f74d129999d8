"""`kv get`: a value for a person's eyes, a file, or the shell that asks for it.

Who runs it decides nothing about what is allowed: a reveal takes the passphrase, a hand-off a person's yes. What is
looked at (a terminal, an agent above) only finds which of the two is meant, and what to say.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated, cast

import typer

from kv.cli import completing, tui
from kv.cli.keeper import acting
from kv.cli.options import Options, verb
from kv.cli.terminal import Terminal
from kv.client import AGENT, Client
from kv.clients import agent_above
from kv.errors import OK, PENDING, KvError
from kv.hot.person import announce
from kv.paths import vault_path
from kv.variable import variable

_AGENTS = "not for agents"
_INSTEAD = "kv api CONNECTION makes the call, kv run --secret {name} -- COMMAND starts a program with it"


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "get")(get)


def get(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", show_default=False, autocompletion=completing.secrets)
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a new file, mode 0600.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Write it to standard output, wherever that leads.")] = False,
    copy: Annotated[bool, typer.Option("--copy", hidden=True)] = False,
    revision: Annotated[int | None, typer.Option("--revision", metavar="N", help="An older value.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the person who is asked.")] = "",
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for a person.")] = 180.0,
) -> None:
    """Reveal a value, or hand values over to this shell.

    At a terminal, with --output or --raw it takes the passphrase. Inside eval "$(…)" it asks a person to let this
    session's shell have the values, and prints no value but what the shell needs to take them: each once, within a
    minute.

    \b
      kv get SIGNING_KEY --output key.pem
      eval "$(kv get STRIPE_KEY DATABASE_URL)"
    """
    full = [options.name(name) for name in names]
    if copy:
        why = "what is on a clipboard is kept in histories, synchronised, and read by every program"
        raise KvError("denied", rule="not by the clipboard", why=why, help=_INSTEAD.format(name=full[0]))
    if raw or output is not None or revision is not None or options.passphrase_fd is not None or _shown(options):
        _reveal(options, full, output, revision, raw=raw)
    else:
        raise SystemExit(_hand_over(options, full, reason, wait))


def _shown(options: Options) -> bool:
    return sys.stdout.isatty() and not options.as_json and not agent_above(os.getppid())


def _reveal(options: Options, names: list[str], output: str | None, revision: int | None, *, raw: bool) -> None:
    """To a person, who proves it with the passphrase. Raises `KvError`."""
    name = names[0]
    if options.passphrase_fd is None and (agent := agent_above(os.getppid())):
        why = f"{agent} runs this, and would have the value in its transcript"
        raise KvError("denied", rule=_AGENTS, why=why, help=_INSTEAD.format(name=name))
    if len(names) > 1:
        raise KvError("usage", why="one at a time is revealed; several go to a shell, by eval")
    if output is None and not raw and (not sys.stdout.isatty() or options.as_json):
        raise KvError(
            "denied",
            rule="terminal only",
            why="a value is shown on a terminal or written to a new file, and goes nowhere else",
            help=f"kv get {name} --output FILE",
        )
    args: dict[str, object] = {"name": name}
    if revision is not None:
        args["revision"] = revision
    try:
        with acting(options) as keeper:
            value = keeper.act("get", args).body
    except KvError as error:
        if error.code != "proof-needed":
            raise
        raise KvError("reveal-proof", name=name) from None
    if output is not None:
        _write_private(output, value)
        _wrote(options, name, output)
    elif raw:
        sys.stdout.buffer.write(value)
        sys.stdout.buffer.flush()
    else:
        _show(value)


def _hand_over(options: Options, names: list[str], reason: str, wait: float) -> int:
    """To this session's shell, which a person allows. Prints what the shell is to run."""
    variables = {name: variable(name) for name in names}
    if len(set(variables.values())) < len(names):
        raise KvError("usage", why="two of these names make one variable; take them one after the other")
    with Client(options.path, AGENT) as client:
        event = announce(options.path, quiet=not wait)
        args = {"names": names, "wait": wait, "reason": reason}
        ok = client.ask("hand-off", args, event=event).ok
    if "pending" in ok:
        if options.as_json:
            tui.print_json(ok)
        else:
            tui.note(str(ok.get("say")))
        return PENDING
    tokens = cast("dict[str, str]", ok["tokens"])
    taken = [_taken(variables[name], _command(options, token)) for name, token in tokens.items()]
    if options.as_json:
        tui.print_json({"shell": " && ".join(taken), "variables": list(variables.values())})
    else:
        tui.say(" && ".join(taken))
    return OK


def _taken(variable: str, command: str) -> str:
    return f'{variable}="$({command})" && export {variable}'


def _command(options: Options, token: str) -> str:
    """How the shell takes it, by the very program that runs now: whatever else is called so on the shell's PATH."""
    vault = [] if options.path == vault_path() else ["--vault", options.path]
    return shlex.join([sys.executable, "-P", "-m", "kv", *vault, "take", token])


def _show(value: bytes) -> None:
    text = value.decode("utf-8", "replace")
    if not all(c.isprintable() or c in "\n\t" for c in text.replace("\r\n", "\n")):
        raise KvError(
            "unsupported", why="it is no text, and would write to the terminal as a program does: use --output"
        )
    with Terminal() as terminal:
        terminal.print(text.rstrip("\n"))


def _write_private(path: str, value: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(value)
    except OSError as error:
        raise KvError("disk", act="write", path=path, why=os.strerror(error.errno or 0)) from None


def _wrote(options: Options, name: str, output: str) -> None:
    if options.as_json:
        tui.print_json({"name": name, "output": output})
    else:
        tui.say(f"wrote {name} to {output}   (mode 0600)")
