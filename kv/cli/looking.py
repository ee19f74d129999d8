"""What kv says of a database right after a person has made its connection: who is there, and what its role can do.

Rules of this file
- A database that does not answer now is told and is no failure: the connection is made all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kv.cli import tui
from kv.cli.finding import Finding
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.cli.keeper import Keeper
    from kv.cli.options import Options

DATABASES = frozenset({"postgres", "mysql", "sqlite"})


def look_at(keeper: Keeper, name: str) -> dict[str, object]:
    """The keeper's findings. Raises `KvError`."""
    return keeper.act("inspect", {"name": name}).ok


def tell(options: Options, found: dict[str, object]) -> None:
    """Say them: the server on one line, a warning a line, and last the statements that make a proper role."""
    if options.as_json:
        tui.print_json(found)
        return
    warnings = cast("list[str]", found.get("warnings") or [])
    tui.say(f"  {found.get('server')}{'' if warnings else ': its role can do no more than it should'}")
    for warning in warnings:
        tui.warn(warning)
    if warnings and found.get("script"):
        tui.note("a role for reading alone is made by:")
        for line in str(found["script"]).splitlines():
            tui.note(f"    {line}")


def after(keeper: Keeper, options: Options, kind: object, name: object) -> None:
    """Look at a connection that was just made, if it is one to a database, and say what was found."""
    if kind not in DATABASES or options.as_json:
        return
    try:
        tell(options, look_at(keeper, str(name)))
    except KvError as error:
        tui.note(f"not looked at now: {error.message}; kv connect {name} --check tries again")


def found(options: Options) -> Iterator[Finding]:
    """Of `kv doctor`: what was found of each database since the vault was unlocked."""
    from kv.client import ADMIN, Client

    try:
        with Client(options.path, ADMIN) as client:
            listed = cast("list[dict[str, object]]", client.ask("connections").ok.get("connections", []))
    except KvError:
        return  # locked, or in a box: other checks have said so
    for each in listed:
        if each.get("kind") not in DATABASES:
            continue
        name, findings = f"{each['name']}", cast("list[str] | None", each.get("findings"))
        if findings is None:
            yield Finding("note", name, f"its role was not looked at since the unlock: kv connect {name} --check")
        elif not findings:
            yield Finding("good", name, "its role can do no more than it should")
        for finding in findings or ():
            yield Finding("bad", name, finding)
