"""What the shell completes: names of secrets and connections, asked of a running keeper.

Rules of this file
- Names only, and nothing is started for them: a locked vault completes nothing, and no error ever reaches the shell.
"""

from __future__ import annotations

from typing import Annotated, cast

import typer

from kv.cli.keeper import look
from kv.cli.options import Options
from kv.errors import KvError


def secrets(incomplete: str) -> list[str]:
    """Names of secrets that begin so."""
    return _names("secrets", incomplete)


def connections(incomplete: str) -> list[str]:
    """Names of connections that begin so."""
    return _names("connections", incomplete)


def _names(kind: str, incomplete: str) -> list[str]:
    try:
        rows = cast("list[dict[str, object]]", look(Options(), "list").get(kind, []))
    except (KvError, OSError):
        return []
    return [name for row in rows if (name := str(row["name"])).startswith(incomplete)]


NameArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False, autocompletion=secrets)]
ConnectionArgument = Annotated[str, typer.Argument(metavar="NAME", show_default=False, autocompletion=connections)]
