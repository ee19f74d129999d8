"""The keeper as a process: daemon status, stop, logs."""

from __future__ import annotations

from typing import Annotated

import typer

from kv.cli import tui
from kv.cli.options import Options, verb
from kv.cli.vault import lock
from kv.client import lock_holder
from kv.errors import KvError
from kv.hot.status import ask as ask_status
from kv.paths import Runtime

_LINES = 40


def register(app: typer.Typer) -> None:
    """Add `kv daemon …` to `app`."""
    daemon = typer.Typer(help="The keeper as a process.", rich_markup_mode=None)
    verb(daemon, "status")(status)
    verb(daemon, "stop")(stop)
    verb(daemon, "logs")(logs)
    app.add_typer(daemon, name="daemon")


def status(options: Options) -> None:
    """Show the keeper's process and its files.

    \b
      kv daemon status
    """
    runtime, found = Runtime(options.path), ask_status(options.path)
    rows = {
        "vault": runtime.vault,
        "pid": found.get("pid"),
        "version": found.get("version"),
        "holds lock": lock_holder(runtime.lock) or None,
        "agents": runtime.agent_socket,
        "people": runtime.kv_socket,
        "log": runtime.log,
    }
    if options.as_json:
        tui.print_json({**found, **rows})
    else:
        tui.say("locked: no keeper runs" if found["locked"] else "running")
        tui.table([[label, "-" if value is None else tui.tilde(str(value))] for label, value in rows.items()], indent=2)


def stop(options: Options) -> None:
    """End the keeper; the same as kv lock.

    \b
      kv daemon stop
    """
    lock(options)


def logs(
    options: Options,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", help="The last N lines.")] = _LINES,
) -> None:
    """Show what the keeper says of itself.

    Codes and places, never values.

    \b
      kv daemon logs -n 10
    """
    try:
        with open(Runtime(options.path).log, encoding="utf-8", errors="replace") as file:
            found = file.read().splitlines()[-lines:]
    except FileNotFoundError:
        found = []
    except OSError:
        raise KvError("disk", act="read", path=Runtime(options.path).log, why="it cannot be opened") from None
    if options.as_json:
        tui.print_json(found)
        return
    tui.table([[line] for line in found])
