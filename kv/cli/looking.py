"""What kv says of a database right after a person has made its connection: who is there, and what its role can do.

Rules of this file
- A database that does not answer now is told and is no failure: the connection is made all the same.
- What kind a connection is of is the keeper's to say: a change need not name it.
- What the statements make is told in the broker's words: a SQLite file has no roles.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from kv.cli import tui
from kv.cli.finding import Finding
from kv.cli.kinds import inspected
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.cli.keeper import Keeper
    from kv.cli.options import Options


def look_at(keeper: Keeper, name: str) -> dict[str, object]:
    """The keeper's findings. Raises `KvError`."""
    return keeper.act("inspect", {"name": name}).ok


def tell(options: Options, found: dict[str, object]) -> None:
    """Say them: the server on one line, a warning a line, and last the statements that make a proper role."""
    if options.as_json:
        tui.print_json(found)
        return
    warnings = cast("list[str]", found.get("warnings") or [])
    tui.say(f"  {found.get('server')}{'' if warnings else ': nothing to warn of'}")
    for warning in warnings:
        tui.warn(warning)
    if warnings and found.get("script"):
        tui.note(f"{found.get('remedy')}:")
        for line in str(found["script"]).splitlines():
            tui.say(f"    {line}", sys.stderr)  # without our name before it: to be copied


def after(keeper: Keeper, options: Options, name: str) -> dict[str, object]:
    """Look at a connection that was just made or changed, if it is one to a database, and say what was found.

    Returns what `--json` prints of it: `{"looked": …}` with the findings or an `error`, nothing of another kind.
    """
    try:
        listed = cast("list[dict[str, object]]", keeper.ask("connections").ok.get("connections", []))
        if not any(each.get("name") == name and inspected(each.get("kind")) for each in listed):
            return {}
        found = look_at(keeper, name)
    except KvError as error:
        if not options.as_json:
            tui.note(f"not looked at now: {error.message}; kv connect {name} --check tries again")
        return {"looked": {"error": error.as_wire()}}
    if not options.as_json:
        tell(options, found)
    return {"looked": found}


def findings(options: Options) -> Iterator[Finding]:
    """Of `kv doctor`: what was found of each database since the vault was unlocked."""
    from kv.client import ADMIN, Client

    try:
        with Client(options.path, ADMIN) as client:
            listed = cast("list[dict[str, object]]", client.ask("connections").ok.get("connections", []))
    except KvError:
        return  # locked, or in a box: other checks have said so
    for each in listed:
        if not inspected(each.get("kind")):
            continue
        name, found = f"{each['name']}", cast("dict[str, object] | None", each.get("findings"))
        if found is None:
            yield Finding("note", name, f"it was not looked at since the unlock: kv connect {name} --check")
            continue
        warnings = cast("list[str]", found.get("warnings"))
        for warning in warnings:
            yield Finding("bad", name, warning)
        if not warnings:
            yield Finding("good", name, "what was found of it is nothing to warn of")
        elif found.get("script"):
            yield Finding("note", name, f"{found.get('remedy')}:", f"{found['script']}")
