"""Intend before, settle after: what the log promises to the pipeline."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from audit.world import KEY, World, call

from kv.audit import AuditLog, Head, Peer, verify
from kv.audit.entry import build
from kv.audit.log import SEAL_ENTRIES, TALLIES_MAX
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kv.audit import Entry


def kinds(entries: list[Entry]) -> list[str]:
    """Each entry in a word or two."""
    return [f"{each.kind} {each.verb} {each.outcome}".strip() for each in entries]


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    """No file of this process can grow, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (world.path.stat().st_size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_call(world: World) -> None:
    """A call leaves an intent with everything that was known before, and a settle with how it ended."""
    log = world.unlock()
    before = {
        "call": "c1",
        "verb": "call",
        "connection": "stripe",
        "effect": "write",
        "title": "POST /v1/refunds",
        "plan": "ab" * 32,
        "rule": "balanced: write asks",
        "decision": "ask",
        "approval": "9XQ2",
        "scope": "once",
        "strength": "totp",
        "session": "5e55",
        "label": "Claude Code, ~/shop",
        "peer": Peer(4812, "node", 1000),
        "reason": "refund the duplicate",
        "names": ("STRIPE_KEY",),
        "bytes_out": 31,
    }
    seq = log.intend(**before)  # type: ignore[arg-type]  # one mapping for both sides of the comparison
    world.wall += 2
    world.boot += 2_000_000_000
    log.settle(seq, outcome="ok", status=200, bytes_in=1300, ms=2000, redactions={"body": 1})
    intent, settle = log.tail(2)
    when = {"time": world.wall - 2, "clock": world.boot - 2_000_000_000}
    assert intent == build({**before, **when, "seq": 2, "epoch": 1, "kind": "intend"})
    assert (settle.kind, settle.of, settle.time, settle.clock) == ("settle", 2, world.wall, world.boot)
    assert (settle.title, settle.approval, settle.session) == ("POST /v1/refunds", "9XQ2", "5e55")
    assert (settle.outcome, settle.status, settle.redactions) == ("ok", 200, {"body": 1})
    assert (settle.names, settle.reason, settle.peer) == ((), "", None)


def test_settled_once(world: World) -> None:
    """An intent is settled once, and only one that there is."""
    log = world.unlock()
    seq = log.intend(verb="call")
    log.settle(seq, outcome="ok")
    for number in (seq, seq + 1, 99):
        with pytest.raises(KeyError):
            log.settle(number, outcome="ok")


def test_no_record_no_action(world: World) -> None:
    """On a full disk nothing is intended; with room again the chain goes on as if nothing had been tried."""
    log = world.unlock()
    with full_disk(world):
        for effect in ("read", "write"):
            with pytest.raises(KvError) as caught:
                call(log, effect=effect)
            assert caught.value.code == "audit-unwritable"
    call(log)
    assert kinds(log.tail(9)) == ["event unlock", "intend call", "settle call ok"]
    world.lock(log)
    assert world.verify().beyond == 0


def test_settle_on_a_full_disk(world: World) -> None:
    """A settle that cannot be written raises, and the call counts as unknown at the lock."""
    log = world.unlock()
    seq = log.intend(verb="call", effect="read")
    with full_disk(world), pytest.raises(KvError) as caught:
        log.settle(seq, outcome="ok")
    assert caught.value.code == "audit-unwritable"
    world.lock(log)
    assert kinds(world.unlock().tail(4))[:3] == ["intend call", "settle call unknown", "event lock"]


def test_malformed_is_not_recorded(world: World) -> None:
    """A malformed field refuses the act, and leaves the chain whole."""
    log = world.unlock()
    with pytest.raises(ValueError, match="an audit field is malformed"):
        log.intend(verb="call", connection="not a name")
    call(log)
    world.lock(log)
    assert world.verify().entries == 4


@pytest.mark.parametrize("gone", ["", "-wal"])
def test_deleted_while_open(world: World, gone: str) -> None:
    """A log that was deleted under the keeper refuses every act at once, not at the next unlock."""
    log = world.unlock()
    call(log)
    world.path.with_name(world.path.name + gone).unlink()
    for act in (lambda: call(log), lambda: log.alarm(verb="x"), log.checkpoint):
        with pytest.raises(KvError) as caught:
            act()
        assert caught.value.code == "audit-unwritable"


def test_replaced_while_open(world: World) -> None:
    """A log with another file put in its place refuses every act, and writes nothing into that file."""
    log = world.unlock()
    world.path.rename(world.path.with_name("moved"))
    world.path.write_bytes(b"planted")
    with pytest.raises(KvError) as caught:
        call(log)
    assert caught.value.code == "audit-unwritable"
    assert world.path.read_bytes() == b"planted"


def test_durable(world: World) -> None:
    """Only a read is intended without waiting for the disk; approvals and alarms are waited for."""
    log = world.unlock()

    def synchronous() -> int:
        (mode,) = log._store._db.execute("PRAGMA synchronous").fetchone()
        return int(mode)

    normal, full = 1, 2
    assert synchronous() == full
    for effect, mode in (("read", normal), ("write", full), ("read", normal), ("destroy", full), ("", full)):
        seq = log.intend(effect=effect)
        assert synchronous() == mode
        log.settle(seq)
        assert synchronous() == normal
    log.event(verb="approve", durable=True)
    assert synchronous() == full
    log.event(verb="deny")
    assert synchronous() == normal
    log.alarm(verb="panic")
    assert synchronous() == full


def test_lock_settles_unknown(world: World) -> None:
    """What still runs when the keeper locks is settled as unknown, in order, and the end is recorded."""
    log = world.unlock()
    for _ in range(3):
        log.intend(verb="call", effect="write")
    world.lock(log)
    ended = world.unlock().tail(5)
    assert kinds(ended) == [*["settle call unknown"] * 3, "event lock", "event unlock"]
    assert [each.of for each in ended[:3]] == [2, 3, 4]
    assert world.head.closed is False


def test_closed(world: World) -> None:
    """After the lock nothing can be recorded, closing again does nothing more, and one file is left."""
    log = world.unlock()
    call(log)
    assert log.close() == log.close()
    assert Head.unpack(log.close()).closed
    with pytest.raises(KvError) as caught:
        call(log)
    assert caught.value.code == "audit-unwritable"
    assert [each.name for each in world.path.parent.iterdir()] == [world.path.name]


def test_lock_on_a_full_disk(world: World) -> None:
    """Locking ends even when its last entries cannot be written; the next unlock settles what it left."""
    log = world.unlock()
    log.intend(verb="call", effect="read")
    with full_disk(world):
        world.lock(log)
    assert not world.head.closed
    log = world.unlock()
    assert log.alarm_at_open == ""
    assert kinds(log.tail(2)) == ["event unlock", "settle call unknown"]


def test_killed(world: World) -> None:
    """The unlock after a kill settles open intents as unknown and records how many entries were unsealed."""
    log = world.unlock()
    call(log)
    log.intend(verb="call", effect="write", title="POST /v1/refunds", session="5e55")
    world.crash(log)
    log = world.unlock()
    assert (log.recovered, log.alarm_at_open) == (3, "")
    unlock, settle = log.tail(2)
    assert (unlock.verb, unlock.count, unlock.title) == ("unlock", 3, "3 entries followed the sealed head")
    assert (settle.of, settle.outcome, settle.title, settle.session) == (4, "unknown", "POST /v1/refunds", "5e55")
    assert world.verify().epochs == 2


def test_killed_again(world: World) -> None:
    """An intent is settled although the keeper was killed in two epochs running, before any head was sealed."""
    first = world.unlock()
    sealed = world.sealed
    first.intend(verb="call", effect="write")
    world.crash(first)
    second = world.unlock()
    world.sealed = sealed  # the second was killed before the vault had its head
    second.intend(verb="call", effect="mint")
    world.crash(second)
    third = world.unlock()
    assert [each.of for each in third.tail(9) if each.kind == "settle"] == [2, 5]
    assert world.verify().entries == 7


def test_first_unlock_killed(world: World) -> None:
    """A log whose first head was never sealed is taken up, not thrown away."""
    log = AuditLog.open(world.path, KEY, None)
    call(log)
    world.crash(log)
    log = world.unlock()
    assert (log.recovered, log.alarm_at_open) == (3, "")


def test_head_due(world: World) -> None:
    """A head is due after 256 entries, or after 60 s if there is anything new."""
    log = world.unlock()
    world.boot += 61 * 10**9
    assert [log.head_due] == [False]
    call(log)
    assert [log.head_due] == [True]
    log.checkpoint()
    for _ in range(SEAL_ENTRIES):
        assert [log.head_due] == [False]
        log.event(verb="x")
    assert log.head_due
    log.checkpoint()
    log.event(verb="x")
    world.boot += 59 * 10**9
    assert not log.head_due


def test_checkpoint_is_the_head(world: World) -> None:
    """The head to be sealed is where the chain stands, and verification agrees with it while the log is open."""
    log = world.unlock()
    call(log)
    world.sealed = log.checkpoint()
    assert world.sealed == log.head
    assert (world.verify().entries, world.verify().beyond) == (3, 0)
    call(log)
    assert world.verify().beyond == 2
    assert verify(world.path, KEY, log.head).beyond == 0


def test_flood(world: World) -> None:
    """Refusals are summed up: 30,000 of them in a minute are one entry for each session and thing."""
    log = world.unlock()
    for number in range(30_000):
        log.count("rate", f"s{number % 3}")
    assert len(log.tail(99)) == 1
    world.boot += 61 * 10**9
    assert log.head_due
    log.count("rate", "s0")
    assert [(each.verb, each.session, each.count) for each in log.tail(3)] == [
        ("rate", "s0", 10_001),
        ("rate", "s1", 10_000),
        ("rate", "s2", 10_000),
    ]
    log.count("rate", "s1")
    world.sealed = log.checkpoint()
    assert (log.tail(1)[0].session, log.tail(1)[0].count) == ("s1", 1)
    log.count("rate", "s1")
    world.lock(log)
    assert [each.count for each in world.unlock().tail(3)] == [1, 0, 0]


def test_flood_of_sessions(world: World) -> None:
    """However many sessions are refused, what is kept and written of them is bounded."""
    log = world.unlock()
    for number in range(3 * TALLIES_MAX):
        log.count("rate", f"s{number}")
    log.flush()
    written = log.tail(9999)[1:]
    assert len(written) == TALLIES_MAX + 1
    assert sum(each.count for each in written) == 3 * TALLIES_MAX
    assert written[-1].session == ""


def test_count_on_a_full_disk(world: World) -> None:
    """Counting a refusal never fails, and a count that could not be written is written later."""
    log = world.unlock()
    with full_disk(world):
        log.count("rate", "s0")
        world.boot += 61 * 10**9
        log.count("rate", "s0")
    log.flush()
    assert log.tail(1)[0].count == 2


def test_own_entries_only(world: World) -> None:
    """A session sees its own entries, never another's, and none that has no session."""
    log = world.unlock()
    for session in ("aaaa", "bbbb", "aaaa"):
        call(log, session=session)
    log.event(verb="x", title='"session":"aaaa"')
    assert [each.seq for each in log.entries(session="aaaa")] == [2, 3, 6, 7]
    assert [each.seq for each in log.tail(3, session="aaaa")] == [3, 6, 7]
    assert list(log.entries(session="aa")) == list(log.entries(session="")) == log.tail(9, session="") == []
    world.lock(log)
    assert list(world.unlock().entries(session="aaaa")) == []


def test_pages(world: World) -> None:
    """All entries come in order, page after page, also while more are written."""
    log = world.unlock()
    for number in range(300):
        call(log, number)
    seen = []
    for entry in log.entries(limit=700):
        seen.append(entry.seq)
        if entry.seq % 100 == 0:
            call(log)
    assert seen == list(range(1, 614))
    assert [each.seq for each in log.entries(after=598, limit=3)] == [599, 600, 601]
    assert [each.seq for each in log.tail(2)] == [612, 613]
    assert list(log.entries(limit=0)) == list(log.entries(limit=-1)) == []


def test_clock_jumps(world: World) -> None:
    """A wall clock that jumps to before 1970 or back does not stop the log; the other clock tells the order."""
    log = world.unlock()
    for wall in (-5.0, 9e9, 0.0):
        world.wall = wall
        world.boot += 1
        call(log)
    world.lock(log)
    assert world.verify().entries == 8


def test_old_vault_with_new_log(history: World) -> None:
    """A vault restored from a backup takes up the log as it stands: what is newer is checked and counted, not lost."""
    old = history.sealed
    log = history.unlock()
    call(log)
    history.lock(log)
    history.sealed = old
    log = history.unlock()
    assert (log.recovered, log.alarm_at_open) == (4, "")
    assert history.verify().epochs == 4


def test_owner_only(world: World) -> None:
    """The log and its companions are readable by their owner alone, whatever the umask."""
    mask = os.umask(0)
    try:
        log = world.unlock()
        call(log)
        modes = {each.name: each.stat().st_mode & 0o777 for each in world.path.parent.iterdir()}
    finally:
        os.umask(mask)
    assert set(modes) == {"audit.kv", "audit.kv-wal", "audit.kv-shm"}
    assert set(modes.values()) == {0o600}
