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
    from collections.abc import Callable

    Row = dict[str, object]
    Ask = Callable[[dict[str, object]], tuple[list[Row], bool]]

_PAGE = 1000  # entries that the keeper gives at once, at most
_TAIL = 20

AllOption = Annotated[bool, typer.Option("--all", help="Entries of every session; takes a proof.")]
AfterOption = Annotated[int, typer.Option("--after", metavar="N", help="Only entries after this number.")]
LimitOption = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
MostOption = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
AlarmsOption = Annotated[bool, typer.Option("--alarms", help="Only alarms.")]


def register(app: typer.Typer) -> None:
    """Add `kv audit …` to `app`."""
    audit = typer.Typer(help="Read and check what happened.", rich_markup_mode=None)
    verb(audit, "list")(list_)
    verb(audit, "tail")(tail)
    verb(audit, "verify")(verify)
    verb(audit, "export")(export)
    app.add_typer(audit, name="audit")


def list_(
    options: Options,
    *,
    everybody: AllOption = False,
    after: AfterOption = 0,
    limit: MostOption = None,
    alarms: AlarmsOption = False,
) -> None:
    """List entries, oldest first.

    \b
      kv audit list --all --json
    """
    with acting(options) as keeper:
        ask = _asking(keeper, wide=_wide(options, everybody=everybody), alarms=alarms)
        found = _forwards(ask, after, limit)
    if options.as_json:
        tui.print_json(found)
    else:
        _print(found)


def tail(
    options: Options, *, everybody: AllOption = False, limit: LimitOption = _TAIL, alarms: AlarmsOption = False
) -> None:
    """Show the latest entries.

    \b
      kv audit tail --all
    """
    with acting(options) as keeper:
        found = _backwards(_asking(keeper, wide=_wide(options, everybody=everybody), alarms=alarms), limit)
    if options.as_json:
        tui.print_json(found)
    else:
        _print(found)


def verify(options: Options) -> None:
    """Check the whole chain.

    Against the head that is sealed in the vault: nothing was edited, cut or written anew.

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
    """Write every entry with its mac.

    A line of JSON each, as they stand in the file. Takes a proof.

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


def _asking(keeper: Keeper, *, wide: bool, alarms: bool) -> Ask:
    """One page and whether more may follow. The proof of the first page is good for the others."""

    def ask(args: dict[str, object]) -> tuple[list[Row], bool]:
        args = {**args, "alarms": alarms}
        answer = keeper.act("audit", args) if wide else keeper.ask("audit", args)
        page = cast("list[Row]", answer.ok.get("entries", []))
        return page, bool(answer.ok.get("more") and page)

    return ask


def _forwards(ask: Ask, after: int, limit: int | None) -> list[Row]:
    found: list[Row] = []
    more = True
    while more and (limit is None or len(found) < limit):
        page, more = ask({"after": after, "limit": _PAGE if limit is None else min(_PAGE, limit - len(found))})
        found += page
        after = int(str(page[-1]["seq"])) if page else after
    return found


def _backwards(ask: Ask, limit: int) -> list[Row]:
    found: list[Row] = []
    more = True
    while more and len(found) < limit:
        before = {"before": found[0]["seq"]} if found else {}
        page, more = ask({"last": min(_PAGE, limit - len(found)), **before})
        found = page + found
    return found


def _print(found: list[dict[str, object]]) -> None:
    import msgspec

    from kv.audit import view
    from kv.audit.entry import Entry

    for line in view.lines((msgspec.convert(entry, Entry) for entry in found), width=tui.width()):
        tui.say(line)
    if not found:
        tui.note("no entries of this session; --all shows everybody's")
