"""The audit: list, tail, verify, export.

Rules of this file
- Without a proof one sees one's own entries; everybody's take one.
- `kv audit verify` says what it found in one sentence, and its exit status says the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from kv.cli import tui
from kv.cli.keeper import Keeper, acting
from kv.cli.options import Options, verb
from kv.errors import KvError
from kv.paths import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 1000  # the keeper's own bound: one frame's worth
_TAIL = 20

AllOption = Annotated[bool, typer.Option("--all", help="Entries of every session; takes a proof.")]
AfterOption = Annotated[int, typer.Option("--after", metavar="N", help="Only entries after this number.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", help="At most so many.")]


def register(app: typer.Typer) -> None:
    """Add `kv audit …` to `app`."""
    audit = typer.Typer(help="Read and check what happened.", no_args_is_help=True, rich_markup_mode=None)
    verb(audit, "list")(list_)
    verb(audit, "tail")(tail)
    verb(audit, "verify")(verify)
    verb(audit, "export")(export)
    app.add_typer(audit, name="audit")


def list_(
    options: Options, *, everybody: AllOption = False, after: AfterOption = 0, limit: LimitOption = _PAGE
) -> None:
    """List entries, oldest first.

    \b
      kv audit list --all --json
    """
    with acting(options) as keeper:
        found = _some(_entries(keeper, after, wide=_wide(options, everybody=everybody)), limit)
    if options.as_json:
        tui.print_json(found)
    else:
        _print(found)


def tail(options: Options, *, everybody: AllOption = False, limit: LimitOption = _TAIL) -> None:
    """Show the latest entries.

    \b
      kv audit tail --all
    """
    with acting(options) as keeper:
        found = list(_entries(keeper, 0, wide=_wide(options, everybody=everybody)))[-limit:]
    if options.as_json:
        tui.print_json(found)
    else:
        _print(found)


def verify(options: Options) -> None:
    """Check the whole chain against the head that is sealed in the vault.

    \b
      kv audit verify && echo intact
    """
    with acting(options) as keeper:
        keeper.reach()
        report = keeper.ask("audit-verify").ok
    if options.as_json:
        tui.print_json(report)
    else:
        tui.say(str(report["says"]))


def export(
    options: Options,
    *,
    output: Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="A new file, mode 0600.")] = None,
) -> None:
    """Write every entry with its mac, a line of JSON each, as they stand in the file. Takes a proof.

    \b
      kv audit export --output audit.jsonl
    """
    with acting(options) as keeper:
        keeper.act("audit", {"limit": 1})  # the proof; the rows come from the file itself, so that they can be verified
        lines = _rows(options.path)
    if output is None:
        sys.stdout.buffer.writelines(lines)
        return
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(lines)
    except OSError as error:
        raise KvError("disk", act="write", path=output, why=os.strerror(error.errno or 0)) from None
    tui.note(f"wrote {len(lines)} {'entry' if len(lines) == 1 else 'entries'} to {output}")


def _rows(vault: str) -> list[bytes]:
    from kv.audit import view
    from kv.audit.store import Store

    store = Store(Path(Runtime(vault).audit), fresh=False, readonly=True)
    try:
        return [view.exported(body, mac) for _, body, mac in store.rows(0)]
    finally:
        store.close()


def _wide(options: Options, *, everybody: bool) -> bool:
    return everybody or options.passphrase_fd is not None


def _entries(keeper: Keeper, after: int, *, wide: bool) -> Iterator[dict[str, object]]:
    """All entries after a number, page by page."""
    while True:
        args: dict[str, object] = {"after": after, "limit": _PAGE}
        answer = keeper.act("audit", args) if wide else keeper.ask("audit", args)
        page = cast("list[dict[str, object]]", answer.ok.get("entries", []))
        yield from page
        if len(page) < _PAGE:
            return
        after = int(str(page[-1]["seq"]))


def _some(entries: Iterator[dict[str, object]], limit: int) -> list[dict[str, object]]:
    from itertools import islice

    return list(islice(entries, limit))


def _print(found: list[dict[str, object]]) -> None:
    import msgspec

    from kv.audit import view
    from kv.audit.entry import Entry

    for line in view.lines(msgspec.convert(entry, Entry) for entry in found):
        tui.say(line)
    if not found:
        tui.note("no entries of this session; --all shows everybody's")
