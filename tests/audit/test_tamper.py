"""Attack stories: a program of the same user changes the log. Each says what it did and what is found."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from audit.world import KEY, World, call

from kv.audit import verify
from kv.audit.chain import GENESIS, Chain, Head
from kv.audit.entry import decode
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def found(world: World, entry: int, why: str) -> None:
    """Assert that verification names this entry and this reason."""
    with pytest.raises(KvError) as caught:
        world.verify()
    assert caught.value.code == "audit-broken"
    assert (caught.value.fields["entry"], caught.value.fields["why"]) == (entry, why)


EDITED = "it was edited, moved or signed with another key"
MISSING = "it is missing"
REPLACE = "UPDATE entry SET body = CAST(replace(CAST(body AS TEXT), '{}', '{}') AS BLOB) WHERE seq = {}"

# what the attacker runs: (entry, why). The log has entries 1-6 of one unlock and 7-14 of the next.
EDITS = {
    REPLACE.format("refunds", "charges", 9): (9, EDITED),
    REPLACE.format("intend", "alarm", 8): (8, EDITED),
    REPLACE.format('"seq":9', '"seq":8', 9): (9, "it was moved"),
    REPLACE.format('"epoch":2', '"epoch":1', 10): (10, "it belongs to another epoch"),
    REPLACE.format('"epoch":2', '"epoch":4', 10): (10, "it belongs to another epoch"),
    REPLACE.format('"epoch":2', '"epoch":3', 10): (10, EDITED),
    REPLACE.format('"epoch":2', '"epoch":1', 7): (7, EDITED),
    REPLACE.format('{"seq"', '{ "seq"', 3): (3, "it is not an entry"),
    REPLACE.format("}", "} ", 3): (3, "it is not an entry"),
    "UPDATE entry SET body = x'' WHERE seq = 4": (4, "it is not an entry"),
    "UPDATE entry SET body = CAST(body AS TEXT) WHERE seq = 4": (4, "it is not an entry"),
    "UPDATE entry SET body = 7 WHERE seq = 4": (4, "it is not an entry"),
    "UPDATE entry SET body = CAST(x'ff' AS TEXT) WHERE seq = 4": (0, "the file is damaged"),
    "UPDATE entry SET body = zeroblob(1200000) WHERE seq = 4": (0, "the file is damaged"),
    "UPDATE entry SET body = zeroblob(200000) WHERE seq = 4": (4, "it is not an entry"),
    "UPDATE entry SET mac = zeroblob(32) WHERE seq = 5": (5, EDITED),
    "UPDATE entry SET mac = zeroblob(31) WHERE seq = 5": (5, "it is not an entry"),
    "UPDATE entry SET mac = (SELECT mac FROM entry WHERE seq = 6) WHERE seq = 5": (5, EDITED),
    "UPDATE entry SET mac = (SELECT mac FROM entry WHERE seq = 13) WHERE seq = 14": (14, EDITED),
    "UPDATE entry SET body = (SELECT body FROM entry WHERE seq = 5) WHERE seq = 6": (6, "it was moved"),
    "UPDATE entry SET seq = seq + 1 WHERE seq = 14": (14, MISSING),
    "UPDATE entry SET seq = -3 WHERE seq = 14": (-3, "it stands before the first"),
    "UPDATE entry SET seq = 0 WHERE seq = 1": (0, "it stands before the first"),
    "DELETE FROM entry WHERE seq = 14": (14, MISSING),
    "DELETE FROM entry WHERE seq > 9": (10, MISSING),
    "DELETE FROM entry WHERE seq > 6": (7, MISSING),
    "DELETE FROM entry WHERE seq = 5": (5, MISSING),
    "DELETE FROM entry WHERE seq < 7": (1, MISSING),
    "DELETE FROM entry": (1, MISSING),
    "INSERT INTO entry SELECT 15, body, mac FROM entry WHERE seq = 14": (15, "it was moved"),
    "INSERT INTO entry SELECT 0, body, mac FROM entry WHERE seq = 1": (0, "it stands before the first"),
    "INSERT INTO entry VALUES (9223372036854775807, x'', zeroblob(32))": (15, MISSING),
}


@pytest.mark.parametrize("statement", EDITS)
def test_edited(history: World, statement: str) -> None:
    """A change of any column, a row less, more or elsewhere is found, and the first bad entry is named."""
    assert history.verify().entries == 14
    history.edit(statement)
    found(history, *EDITS[statement])


def swap(world: World, first: int, second: int, *, bodies: bool) -> None:
    """Exchange the macs of two rows, and with `bodies` those too."""
    db = sqlite3.connect(world.path, isolation_level=None)
    held = {seq: db.execute("SELECT body, mac FROM entry WHERE seq = ?", (seq,)).fetchone() for seq in (first, second)}
    for seq, other in ((first, second), (second, first)):
        db.execute("UPDATE entry SET mac = ? WHERE seq = ?", (held[other][1], seq))
        if bodies:
            db.execute("UPDATE entry SET body = ? WHERE seq = ?", (held[other][0], seq))
    db.close()


def test_reordered(history: World) -> None:
    """Two entries that changed places are found, with or without their macs."""
    swap(history, 3, 5, bodies=True)
    found(history, 3, "it was moved")
    swap(history, 3, 5, bodies=True)
    swap(history, 3, 5, bodies=False)
    found(history, 3, EDITED)
    swap(history, 3, 5, bodies=False)
    assert history.verify().entries == 14


def rechain(world: World, subkey: bytes, change: Callable[[bytes], bytes]) -> None:
    """Write all entries anew, changed, under a key that the attacker has."""
    db = sqlite3.connect(world.path, isolation_level=None)
    chain = Chain(subkey, 1, GENESIS)
    for seq, body in db.execute("SELECT seq, body FROM entry ORDER BY seq").fetchall():
        epoch = decode(body).epoch
        if epoch != chain.head.epoch:
            chain = Chain(subkey, epoch, chain.head)
        changed = change(body)
        mac = chain.sign(changed)
        chain.advance(mac)
        db.execute("UPDATE entry SET body = ?, mac = ? WHERE seq = ?", (changed, mac, seq))
    db.close()


def test_rechained(history: World) -> None:
    """A history written anew is found: at its first entry without the key, at the sealed head even with it."""
    rechain(history, bytes(32), lambda body: body.replace(b"refunds", b"charges"))
    found(history, 1, EDITED)
    rechain(history, KEY, lambda body: body.replace(b"charges", b"refunds"))
    assert history.verify().entries == 14
    rechain(history, KEY, lambda body: body.replace(b"refunds", b"charges"))
    found(history, 14, "it is not the one that the vault sealed")


def test_other_keys_log(history: World, tmp_path: Path) -> None:
    """The log of another vault does not pass for this one's, nor does this vault's key for another's."""
    other = World(tmp_path / "other.kv")
    log = other.unlock()
    for number in range(7):
        call(log, number)
    other.lock(log)
    rechain(other, bytes(32), lambda body: body)
    shutil.copy(other.path, history.path)
    found(history, 1, EDITED)
    with pytest.raises(KvError, match="entry 1: it was edited"):
        verify(other.path, KEY, None)


def test_older_copy(history: World) -> None:
    """The log of last week in place of today's is found: it ends before the sealed head."""
    copy = history.path.with_name("copy")
    shutil.copy(history.path, copy)
    log = history.unlock()
    call(log)
    history.lock(log)
    shutil.copy(copy, history.path)
    found(history, 15, MISSING)


def test_forked(history: World) -> None:
    """A log that went another way from a common past, with the right keys, is not the one that the vault sealed."""
    copy, past = history.path.with_name("copy"), history.sealed
    shutil.copy(history.path, copy)
    for number in (1, 2):
        if number == 2:
            mine = history.sealed
            shutil.copy(copy, history.path)
            history.sealed = past
        log = history.unlock()
        call(log, number)
        history.lock(log)
    history.sealed = mine
    found(history, 18, "it is not the one that the vault sealed")


@pytest.mark.parametrize(
    ("statement", "undo"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry WHERE seq = new.seq; END", "DROP TRIGGER t"),
        ("CREATE TABLE other (a)", "DROP TABLE other"),
        ("CREATE VIEW v AS SELECT * FROM entry", "DROP VIEW v"),
        ("CREATE INDEX i ON entry (mac)", "DROP INDEX i"),
        ("ALTER TABLE entry ADD COLUMN note", "ALTER TABLE entry DROP COLUMN note"),
        ("ALTER TABLE entry RENAME TO log", "ALTER TABLE log RENAME TO entry"),
        ("PRAGMA user_version = 2", "PRAGMA user_version = 1"),
        ("PRAGMA application_id = 7", "PRAGMA application_id = 1802912117"),
    ],
)
def test_schema(history: World, statement: str, undo: str) -> None:
    """A trigger, table, view, index or column more, another name or mark: the file is refused before a row is read."""
    history.edit(statement)
    found(history, 0, "the file is not an audit of kv, or its schema was changed")
    history.edit(undo)
    if "ALTER" not in statement:
        assert history.verify().entries == 14


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no database at all" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(path.read_bytes()[:4096]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + bytes(4096)),
    ],
)
def test_bytes(history: World, damage: Callable[[Path], object]) -> None:
    """A file that was emptied, cut, zeroed or replaced ends in the declared error."""
    damage(history.path)
    with pytest.raises(KvError) as caught:
        history.verify()
    assert caught.value.code == "audit-broken"


def rows(path: Path) -> list[tuple[object, ...]]:
    """What the file holds, as any reader sees it."""
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT * FROM entry ORDER BY seq").fetchall()
    finally:
        db.close()


def test_every_byte(history: World) -> None:
    """A flipped byte is found, in the declared way, unless every entry reads as before (free space)."""
    original, before = history.path.read_bytes(), rows(history.path)
    refused = 0
    for at in range(0, len(original), 41):
        history.path.write_bytes(original[:at] + bytes([original[at] ^ 0x10]) + original[at + 1 :])
        try:
            history.verify()
        except KvError as error:
            refused += 1
            assert error.code in {"audit-broken", "disk"}  # noqa: PT017  # the other end is asserted as well
        else:
            assert rows(history.path) == before
    assert refused > sum(len(body) for _, body, _ in before) // 41  # type: ignore[arg-type, misc]


def unlocked(world: World, entry: int, why: str) -> None:
    """Assert that the next unlock alarms about this, keeps the evidence and begins a log that verifies."""
    before = world.path.read_bytes() if world.path.exists() else None
    last = world.head.last
    log = world.unlock()
    assert log.alarm_at_open == f"the audit is broken at entry {entry}: {why}"
    unlock, alarm = log.tail(9)
    assert (unlock.verb, unlock.count) == ("unlock", 0)
    assert (alarm.kind, alarm.title) == ("alarm", f"{log.alarm_at_open}; it was set aside")
    assert alarm.count == last
    assert alarm.epoch > 2
    call(log)
    world.lock(log)
    assert (world.verify().entries, world.verify().alarms) == (5, 1)
    aside = world.path.with_name(world.path.name + ".broken-1")
    assert aside.exists() == (before is not None)
    log = world.unlock()
    assert log.alarm_at_open == ""
    world.lock(log)


def test_unlock_after_deletion(history: World) -> None:
    """A deleted log is an alarm at the next unlock, which names how many entries there were."""
    history.path.unlink()
    found(history, 0, "the file is missing")
    unlocked(history, 0, "the file is missing")


def test_unlock_after_truncation(history: World) -> None:
    """A log cut below the sealed head is an alarm at the next unlock."""
    history.edit("DELETE FROM entry WHERE seq > 12")
    unlocked(history, 13, MISSING)


def test_unlock_after_forgery(history: World) -> None:
    """A last entry that is not the sealed one is an alarm at the next unlock."""
    history.edit("UPDATE entry SET mac = zeroblob(32) WHERE seq = 14")
    unlocked(history, 14, EDITED)


def test_unlock_after_schema(history: World) -> None:
    """A planted trigger is an alarm at the next unlock, and never runs."""
    history.edit("CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END")
    unlocked(history, 0, "the file is not an audit of kv, or its schema was changed")


def test_unlock_after_appending(history: World) -> None:
    """Entries that somebody appended after the lock are an alarm at the next unlock, not a recovered tail."""
    history.edit(
        "INSERT INTO entry SELECT 15, CAST(replace(CAST(body AS TEXT), '\"seq\":14', '\"seq\":15') AS BLOB), mac"
        " FROM entry WHERE seq = 14"
    )
    unlocked(history, 15, EDITED)


def test_unlock_after_kill_and_edit(history: World) -> None:
    """What the killed keeper wrote after its last sealed head cannot be edited, though it can be cut off."""
    log = history.unlock()
    for number in range(3):
        call(log, number)
    history.crash(log)
    history.edit("DELETE FROM entry WHERE seq > 19")  # the limit that kv/audit says it has
    assert history.verify().beyond == 4
    history.edit(REPLACE.format("refunds", "charges", 17))
    unlocked(history, 17, EDITED)


def test_unlock_after_kill_and_rechaining(history: World) -> None:
    """A history written anew with the right keys, before the head that was sealed last, is an alarm at the unlock."""
    log = history.unlock()
    call(log)
    history.sealed = log.checkpoint()
    call(log)
    history.crash(log)
    rechain(history, KEY, lambda body: body.replace(b"refunds", b"charges"))
    unlocked(history, 17, "it is not the one that the vault sealed")


def test_alarm_cannot_be_deleted(history: World) -> None:
    """Deleting the new log together with its alarm is one more alarm, and the first evidence stays."""
    history.edit("DELETE FROM entry WHERE seq > 12")
    history.lock(history.unlock())
    history.path.unlink()
    assert history.unlock().alarm_at_open
    assert history.path.with_name("audit.kv.broken-1").exists()


def test_foreign_file_without_head(world: World) -> None:
    """A new vault does not take up a log that another key signed: it is set aside with an alarm."""
    log = world.unlock()
    world.lock(log)
    rechain(world, bytes(32), lambda body: body)
    world.sealed = None
    assert world.unlock().alarm_at_open == f"the audit is broken at entry 1: {EDITED}"


def test_edit_while_running(world: World) -> None:
    """An edit while the keeper runs is not signed over: verification names it, before and after the lock."""
    log = world.unlock()
    call(log)
    world.edit(REPLACE.format("refunds", "charges", 2))
    call(log)
    with pytest.raises(KvError, match="entry 2: it was edited"):
        verify(world.path, KEY, log.head)
    world.lock(log)
    found(world, 2, EDITED)


def test_no_head(history: World) -> None:
    """Without a head the report says that a cut at the end would not show."""
    history.edit("DELETE FROM entry WHERE seq > 9")
    report = verify(history.path, KEY, None)
    assert (report.entries, report.sealed) == (9, False)


def test_wrong_key_writes_nothing(history: World) -> None:
    """Verification reads: the log is the same after it, byte for byte, right key or wrong."""
    before = history.path.read_bytes()
    history.verify()
    with pytest.raises(KvError, match="entry 1: it was edited"):
        verify(history.path, bytes(32), history.sealed)
    assert history.path.read_bytes() == before


def test_sealed_head_ends_its_epoch(history: World) -> None:
    """Nothing can be appended to an epoch that was closed, even with its keys."""
    db = sqlite3.connect(history.path, isolation_level=None)
    rows = db.execute("SELECT body, mac FROM entry ORDER BY seq").fetchall()
    chain = Chain(KEY, 2, Head(1, 1, 6, rows[5][1]))
    for _, mac in rows[6:]:
        chain.advance(mac)
    body = rows[-1][0].replace(b'"seq":14', b'"seq":15')
    db.execute("INSERT INTO entry VALUES (15, ?, ?)", (body, chain.sign(body)))
    db.close()
    found(history, 15, "it follows the end of its epoch")
