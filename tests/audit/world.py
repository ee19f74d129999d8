"""A vault's view of its audit, with clocks that the tests turn."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kv.audit import AuditLog, Head, Report, verify

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(32))


@dataclass
class World:
    """A vault's view of its audit: the file, the subkey, the head it sealed last, and the clocks."""

    path: Path
    sealed: bytes | None = None
    wall: float = 1_795_449_731.25
    boot: int = 5_000_000_000
    logs: list[AuditLog] = field(default_factory=list)

    def unlock(self) -> AuditLog:
        """Open the log and seal its head, as the keeper does."""
        log = AuditLog.open(self.path, KEY, self.sealed, now=lambda: self.wall, clock=lambda: self.boot)
        self.logs.append(log)
        self.sealed = log.checkpoint()
        return log

    def lock(self, log: AuditLog) -> None:
        """Close the log and seal its last head."""
        self.sealed = log.close()

    def crash(self, log: AuditLog) -> None:
        """End as a killed keeper does: nothing settled, nothing sealed."""
        log._store.close()

    def verify(self) -> Report:
        """What `kv audit verify` finds with the head that is sealed."""
        return verify(self.path, KEY, self.sealed)

    def edit(self, *statements: str) -> None:
        """Change the file as any program of the same user could."""
        db = sqlite3.connect(self.path, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()

    @property
    def head(self) -> Head:
        """The head that is sealed."""
        return Head.unpack(self.sealed)


def call(log: AuditLog, number: int = 0, session: str = "5e55", effect: str = "read") -> None:
    """One call, recorded from beginning to end."""
    seq = log.intend(
        call=f"c{number}", verb="call", connection="stripe", effect=effect, title="GET /v1/refunds", session=session
    )
    log.settle(seq, outcome="ok", status=200, bytes_in=2100 + number)
