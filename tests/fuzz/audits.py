"""Entries of the audit, exports of it, and the file that holds them."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit.world import KEY, World, call
from fuzz.mutate import mutate_rows, mutated, mutated_tree
from fuzz.target import Target, folder, kv_target, put

from kv.audit import AuditLog, verify, view
from kv.audit.chain import Head
from kv.audit.entry import decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random


@dataclass
class Audits:
    """A log of two unlocks and five calls, its entries and its export, spoilt."""

    folder: Path

    def __post_init__(self) -> None:
        world = World(self.folder / "audit.kv")
        for calls in (2, 3):
            log = world.unlock()
            for number in range(calls):
                call(log, number, effect="write")
            world.lock(log)
        self.path, self.sealed = world.path, world.sealed
        self.data = self.path.read_bytes()
        rows = list(_rows(self.path))
        self.bodies = [body for _, body, _ in rows]
        self.lines = [view.exported(body, mac) for _, body, mac in rows]

    def entry(self, random: Random) -> None:
        """One entry's bytes; what is accepted is shown."""
        body = mutated(random, self.bodies)
        if random.random() < 0.7:
            tree = mutated_tree(random, json.loads(random.choice(self.bodies)))
            body = json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        list(view.lines([decode(body)]))

    def export(self, random: Random) -> None:
        """Lines of an export."""
        for _, body, _ in view.imported([mutated(random, self.lines), random.choice(self.lines)]):
            view.line(decode(body))

    def spoil(self, random: Random) -> bytes | None:
        """The log, spoilt on disk; the head to it."""
        by_rows = random.random() < 0.5
        put(self.path, self.data if by_rows else mutated(random, [self.data]))
        if by_rows:
            mutate_rows(random, self.path)
        return random.choice((self.sealed, self.sealed, None))

    def verify(self, random: Random) -> None:
        """As `kv audit verify` reads it."""
        verify(self.path, KEY, self.spoil(random))

    def open(self, random: Random) -> None:
        """As a keeper opens it: what is damaged is set aside, and the new log begins with an alarm."""
        log = AuditLog.open(self.path, KEY, self.spoil(random))
        try:
            with suppress_broken():
                list(view.lines(log.entries()))
        finally:
            Head.unpack(log.close())
            for aside in self.folder.glob("*.broken-*"):
                aside.unlink()


def audit_targets() -> list[Target]:
    """Entries, exports, and the file that holds them."""
    audits = Audits(folder())
    return [
        Target("audit.entry", audits.entry, (ValueError,)),
        kv_target("audit.export", audits.export, "audit-broken"),
        kv_target("audit.verify", audits.verify, "audit-broken"),
        kv_target("audit.open", audits.open),
    ]


@contextmanager
def suppress_broken() -> Iterator[None]:
    """What lies before the last head is looked at when it is read, not when the log is opened."""
    try:
        yield
    except KvError as error:
        if error.code != "audit-broken":
            raise


def _rows(path: Path) -> list[tuple[int, bytes, bytes]]:
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT seq, body, mac FROM entry ORDER BY seq").fetchall()
    finally:
        db.close()
