"""`kv import`: take the secrets of an `.env` file into the vault, and leave references in their place.

Rules of this file
- Names are shown, values never. One question before anything is stored, one before the file is touched.
- All or nothing: the keeper stores every value in one transaction, and the file is replaced in one rename after it.
- The old file's bytes are overwritten where the file system lets one; what backups and git hold is not reached,
  and that is said.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from kv.cli import tui
from kv.cli.dotenv import Line, parse, rewrite
from kv.cli.keeper import Keeper, acting, take_shelter
from kv.cli.kinds import by_dsn
from kv.cli.options import Options, verb
from kv.cli.recognise import default_name, dsn, guess
from kv.cli.secrecy import is_secret
from kv.cli.terminal import Terminal
from kv.cli.value import MAX_BYTES, read_file
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterable

_REFERENCE = "kv://"
_MOST = 1000  # values of one import: the keeper's bound


class Item(NamedTuple):
    """A line and what becomes of it: `left` says why it stays where it is, "" if it goes into the vault."""

    line: Line
    name: str
    left: str
    connection: dict[str, object] | None
    goes: str


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    verb(app, "import")(import_)


def import_(  # noqa: PLR0913 - the options of the verb
    options: Options,
    *,
    path: Annotated[str | None, typer.Argument(metavar="FILE", show_default=False)] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="PATH", help="The file; .env without one.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the assignments from standard input.")] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Take what does not look like a secret, too.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Give names that exist a new value.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    rewriting: Annotated[
        bool | None, typer.Option("--rewrite/--no-rewrite", help="Replace the values in the file by references.")
    ] = None,
) -> None:
    """Take the secrets of an .env file into the vault.

    Shows names only, asks once, then offers to rewrite the file to references.

    \b
      kv import .env
      kv import --file prod.env --env prod --yes --rewrite
    """
    source = None if stdin else path or file or ".env"
    with acting(options) as keeper:
        take_shelter()
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if source is None else read_file(source)
        if len(data) > MAX_BYTES:
            raise KvError("too-large", argument="file", limit="1 MiB")
        report = perform(
            keeper, options, data, source, everything=everything, replace=replace, yes=yes, rewriting=rewriting
        )
    if options.as_json:
        tui.print_json(report)


def perform(  # noqa: PLR0913 - the options of the verb
    keeper: Keeper,
    options: Options,
    data: bytes,
    source: str | None,
    *,
    everything: bool = False,
    replace: bool = False,
    yes: bool = False,
    ask_rewrite: bool = False,
    rewriting: bool | None = None,
) -> dict[str, object]:
    """Show, ask, store, rewrite. What happened, for `--json`."""
    lines, broken = parse(data)
    known = _known(keeper)
    items = list(plan(lines, options, known, everything=everything))
    taken = [item for item in items if not item.left]
    if not options.as_json:
        tui.table([[item.line.name, f"-> {item.left or item.goes}"] for item in items], indent=2)
        for number in broken:
            tui.note(f"line {number} is no assignment; left in place")
    if len(taken) > _MOST:
        raise KvError("too-large", argument="file", limit=f"{_MOST} values")
    report: dict[str, object] = {
        "imported": [item.name for item in taken],
        "left": {item.line.name: item.left for item in items if item.left},
        "rewritten": False,
    }
    if not taken:
        tui.note("nothing to import")
        return report
    if not _asked(options, f"import {tui.counted(len(taken), 'value')}?", yes=yes):
        tui.note("nothing was imported")
        return {**report, "imported": []}
    _store(keeper, taken, replace=replace)
    if not options.as_json:
        tui.say(f"imported {tui.counted(len(taken), 'value')}")
    if source is not None and _wants_rewrite(options, source, rewriting=rewriting, yes=yes and not ask_rewrite):
        replace_file(source, data, rewrite(data, {item.line.name: _REFERENCE + item.name for item in taken}))
        report["rewritten"] = True
        if not options.as_json:
            tui.say(f"rewrote {source} to references; copies in git and in backups still hold the values: rotate those")
    return report


def _known(keeper: Keeper) -> set[str]:
    keeper.reach()
    found = cast("list[dict[str, object]]", keeper.ask("connections").ok.get("connections", []))
    return {str(connection["name"]) for connection in found}


def plan(lines: Iterable[Line], options: Options, known: set[str], *, everything: bool) -> Iterable[Item]:
    """What becomes of each line. Two secrets of one service get one connection: the first's."""
    made = set(known)
    for line in lines:
        name = options.name(line.name)
        left = _left(line, name, everything=everything)
        found = None if left else _proposed(name, line.value)
        if found is None:
            yield Item(line, name, left, None, "no connection yet: kv connect makes one")
            continue
        declared, title = found
        connection = str(declared["name"])
        if connection in made:
            says = f"connection {connection} exists and uses another: kv connect makes one"
            yield Item(line, name, left, None, says)
        else:
            made.add(connection)
            yield Item(line, name, left, declared, f"connection {connection}   ({title})")


def _proposed(name: str, value: bytes) -> tuple[dict[str, object], str] | None:
    """The declaration of the connection that a value names by itself, and what it is; None for a guess too far."""
    try:
        database = dsn(value)
    except KvError:
        return None  # it begins as a DSN does, and a person will be told why it is none when they connect it
    if database is not None:
        where = database.get("host") or database.get("path")
        declared = {"name": default_name(name), **database, "auth": {"scheme": "dsn"}}
        return (declared, f"{database['kind']}, {where}") if by_dsn(database["kind"]) else None
    found = guess(name, value)
    if found is None or not found.whole:
        return None
    return {"name": found.connection, "provider": found.provider}, found.title


def _left(line: Line, name: str, *, everything: bool) -> str:
    from kv.redact import is_mask
    from kv.vault.contents import check_name

    try:
        check_name(name)
    except KvError:
        return "this name cannot be stored, left in place"
    if not line.value:
        return "empty, left in place"
    if line.expands:
        return "made of other variables, left in place"
    if line.value.startswith(_REFERENCE.encode()) or is_mask(line.value):
        return "a reference or a mask, left in place"
    if everything or guess(name, line.value) is not None or is_secret(line.name, line.value):
        return ""
    return "not a secret, left in place"


def _asked(options: Options, question: str, *, yes: bool) -> bool:
    """An answer at the terminal; a script says yes by `--yes`, and never waits."""
    if yes:
        return True
    if options.as_json or options.passphrase_fd is not None:
        raise KvError("usage", why="without a terminal, --yes says that you want it")
    with Terminal() as terminal:
        return terminal.confirm(question)


def _store(keeper: Keeper, taken: list[Item], *, replace: bool) -> None:
    items: list[dict[str, object]] = []
    for item in taken:
        entry: dict[str, object] = {"name": item.name, "size": len(item.line.value)}
        items.append(entry if item.connection is None else {**entry, "connection": item.connection})
    keeper.act("import", {"items": items, "replace": replace}, b"".join(item.line.value for item in taken))


def _wants_rewrite(options: Options, source: str, *, rewriting: bool | None, yes: bool) -> bool:
    if rewriting is not None or yes or options.as_json or options.passphrase_fd is not None:
        return bool(rewriting)
    with Terminal() as terminal:
        return terminal.confirm(f"rewrite {source} to references (kv://NAME) and shred the old one?")


def replace_file(path: str, before: bytes, after: bytes) -> None:
    """Replace the file's content at once, 0600, and overwrite the old one's bytes. Raises `KvError("disk")`.

    A link is followed to the file that it names. A file with another name (a hard link) is replaced but not
    overwritten: that other name may be somebody's copy.
    """
    path = os.path.realpath(path)
    temporary = f"{path}.kv-{os.getpid()}"
    try:
        with open(path, "r+b") as old:
            if old.read() != before:
                raise KvError("disk", act="rewrite", path=path, why="it was changed meanwhile")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as new:
                new.write(after)
                new.flush()
                os.fsync(new.fileno())
            single = os.fstat(old.fileno()).st_nlink == 1
            os.replace(temporary, path)
            if single:
                _overwrite(old.fileno(), len(before))
    except OSError as error:
        raise KvError("disk", act="rewrite", path=path, why=os.strerror(error.errno or 0)) from None


def _overwrite(descriptor: int, size: int) -> None:
    """Zeros over the old bytes, in place: enough for a disk's own file system, not for snapshots or flash."""
    os.pwrite(descriptor, bytes(size), 0)
    os.fsync(descriptor)
