"""Checking a whole chain against the head that the vault sealed: the file, or an export of it.

Rules of this file
- Success is a `Report`; anything else is `audit-broken` with the number of the first bad entry and why
  (0: the file as such). There is no partial yes.
- Constant memory, a row at a time, each row bounded. It may run in a thread beside the writing log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kv.audit import view
from kv.audit.chain import GENESIS, Head, broken, walk
from kv.audit.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Report:
    """An intact chain: `entries` in all, `latest` of them since the last unlock, `epochs` unlocks, `alarms`.

    `beyond` entries follow the sealed head: intact too, but if more had been there nobody could tell. `sealed` is
    False where no head was given, so that a cut at the end would not show.
    """

    entries: int
    latest: int
    epochs: int
    alarms: int
    beyond: int
    sealed: bool


def check(rows: Iterable[tuple[int, bytes, bytes]], subkey: bytes, sealed: bytes | None) -> Report:
    """Every entry of `rows` (number, body, mac) from the first on. Raises `audit-broken`. Pure."""
    end = Head.unpack(sealed)
    head, epochs, alarms = GENESIS, 0, 0
    for head, entry in walk(rows, subkey, GENESIS):
        epochs += head.last == head.first
        alarms += entry.kind == "alarm"
        if head.last == end.last and head != end._replace(closed=False):
            raise broken(head.last, "it is not the one that the vault sealed")
    if head.last < end.last:
        raise broken(head.last + 1, "it is missing")
    if end.closed and head.epoch == end.epoch and head.last > end.last:
        raise broken(end.last + 1, "it follows the end of its epoch")
    return Report(
        entries=head.last,
        latest=head.last - head.first + 1,
        epochs=epochs,
        alarms=alarms,
        beyond=head.last - end.last if sealed is not None else 0,
        sealed=sealed is not None,
    )


def verify(path: str | Path, subkey: bytes, sealed: bytes | None) -> Report:
    """Check the log at `path`. Beside a running log, `sealed` is that log's `head`.

    Raises `audit-broken`, `disk` for a file that is not safe to open.
    """
    store = Store(Path(path), fresh=False, readonly=True)
    try:
        low, _ = store.bounds()
        if low < 1:
            raise broken(low, "it stands before the first")
        return check(store.rows(0), subkey, sealed)
    finally:
        store.close()


def verify_export(lines: Iterable[bytes], subkey: bytes, sealed: bytes | None) -> Report:
    """Check the lines that `AuditLog.export` gave, from the first entry on. Raises `audit-broken`."""
    return check(view.imported(lines), subkey, sealed)
