"""One line of the audit: what it costs when it has to be on disk, and when it need not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bench.measure import MICROSECONDS, alternate, seconds
from bench.stage import folder
from bench.table import Row

from kv.audit import AuditLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.measure import Scale

    from kv.audit.entry import Fields

_READ: Fields = {
    "effect": "read",
    "verb": "call",
    "connection": "echo",
    "title": "GET https://api.test/v1/things",
    "plan": "0" * 64,
    "rule": "the person's own rule",
    "decision": "allow",
    "session": "0123456789abcdef",
    "label": "Claude Code",
    "names": ("demo/ECHO",),
}
_WRITE: Fields = {**_READ, "effect": "write"}


def rows(scale: Scale) -> Iterator[Row]:
    """An intent with and without fsync; for information."""
    with folder() as here:
        log = AuditLog.open(here / "audit.kv", os.urandom(32), None)
        mine, other = alternate(lambda: _append(log, _WRITE), lambda: _append(log, _READ), scale.of(1000, 300))
        log.close()
    yield Row("audit append, fsynced (a write)", "µs", mine, "not fsynced (a read)", other)


def _append(log: AuditLog, what: Fields) -> float:
    entries: list[int] = []
    took = seconds(lambda: entries.append(log.intend(**what)))
    log.settle(entries[0], outcome="ok", status=200)
    return took * MICROSECONDS
