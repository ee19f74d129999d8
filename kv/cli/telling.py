"""Telling AI clients of kv, and taking it back: the edits of their files, each with its receipt.

Rules of this file
- Whatever becomes of one file, the others are edited; which were left alone is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kv.cli import receipts, tui
from kv.cli.told import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from kv.cli.told import Row


def write(found: list[Row]) -> list[Row]:
    """Tell the clients; the rows whose file was left alone."""
    return _each(found, _write)


def take_out(found: list[Row]) -> list[Row]:
    """Take it back, from the last to the first; the rows whose file was left alone."""
    return _each(list(reversed(found)), lambda row: _take_out(row, found))


def again(found: list[Row], failed: list[Row]) -> list[Row]:
    """The rows as they are now; `failed` are those that an edit left alone."""
    written = receipts.written()
    left = {(row.client.name, row.path, row.what): row for row in failed}
    now = []
    for row in found:
        if row.change and row.standing != "broken" and (row.client.name, row.path, row.what) not in left:
            now.append(row._replace(standing=row.change.standing(written.get(str(row.path), {}))))
        else:
            now.append(left.get((row.client.name, row.path, row.what), row))
    return now


def warn(found: list[Row]) -> None:
    """Say which files are left alone, and what to do then."""
    for row in found:
        if row.standing == "broken":
            by_hand = f"kv setup {row.client.name}{here([row])} --print shows what to put there by hand"
            tui.warn(f"{shown(row.path)} is left alone: {row.why}; {by_hand}")


def here(found: list[Row]) -> str:
    """What a command line needs to mean the same."""
    return " --scope project" if found and found[0].scope == "project" else ""


def _each(found: list[Row], act: Callable[[Row], None]) -> list[Row]:
    from editor_setup.contract import EditError

    failed = []
    for row in found:
        try:
            act(row)
        except EditError as error:
            failed.append(row._replace(standing="broken", why=error.message))
    warn(failed)
    return failed


def _write(row: Row) -> None:
    from editor_setup.receipt import edited

    for edit in row.change.edits if row.change else ():
        made = edited(row.path, edit.made)
        left = row.change.digests()[edit.key] if row.change else ""
        receipts.keep(receipts.Mark(row.client.name, str(row.path), edit.key, left, made))


def _take_out(row: Row, beside: list[Row]) -> None:
    """What is in a file, by whichever edit, from the last to the first."""
    from editor_setup.receipt import edited, undone

    edits = {edit.key: edit for each in beside if each.change and each.path == row.path for edit in each.change.edits}
    if not receipts.shared(row.client.name, row.path):
        for mark in reversed(receipts.marks(row.client.name, row.path)):
            if mark.receipt is not None:
                undone(row.path, mark.receipt, edits[mark.edit].drop if mark.edit in edits else lambda _: [])
        for edit in edits.values():
            if edit.ours:
                edited(row.path, edit.drop)  # what a person copied, or an older kv wrote
    receipts.give_up(row.client.name, row.path)
