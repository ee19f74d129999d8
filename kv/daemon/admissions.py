"""Admissions that outlive a keeper: "this project, 30 days", sealed in the vault.

Rules of this file
- Kept by wall clock (the boot-time clock starts anew with the machine), handed on by boot-time clock.
- A wall clock that was set back makes an admission no longer than its 30 days: what lies further ahead is dropped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kv.daemon.clock import boot_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kv.daemon.approvals import Approvals
    from kv.vault.session import Vault

_SECONDS = 30 * 86400.0
_MOST = 500  # rows kept; the oldest go first


def remember(vault: Vault, project: str, connection: str) -> None:
    """Seal that `project` is admitted to `connection` for 30 days."""
    rows = [row for row in _rows(vault) if row[:2] != (project, connection)]
    rows.append((project, connection, time.time() + _SECONDS))
    rows = rows[-_MOST:]
    vault.put("setting", "admissions", {"rows": [list(row) for row in rows]}, None, now=time.time())


def forget(vault: Vault, connections: Iterable[str]) -> None:
    """Drop what was admitted to connections that are no longer what they were."""
    gone, rows = set(connections), _rows(vault)
    kept = [row for row in rows if row[1] not in gone]
    if len(kept) < len(rows):
        vault.put("setting", "admissions", {"rows": [list(row) for row in kept]}, None, now=time.time())


def recall(vault: Vault, approvals: Approvals) -> None:
    """Tell a new keeper's approvals what was sealed and still holds."""
    for project, connection, until in _rows(vault):
        approvals.admit(connection, project=project, until=boot_time() + until - time.time())


def _rows(vault: Vault) -> list[tuple[str, str, float]]:
    record = vault.get("setting", "admissions")
    rows = record.meta.get("rows") if record else None
    now, found = time.time(), []
    for row in rows if isinstance(rows, list) else []:
        project, connection, until = row
        if now < until <= now + _SECONDS:
            found.append((project, connection, until))
    return found
