"""`AuditLog`: intend before, settle after, and nothing in between without a record.

Rules of this file
- `intend` returns only when the entry is written: on disk, for everything but a read. It raises
  `audit-unwritable` otherwise, and the caller refuses the act. A settle that cannot be written raises too: the
  caller withholds the result, and the call counts as unknown.
- Every intent is settled exactly once: by the call, as unknown when the log closes over it, or as unknown by the
  next unlock when the keeper was killed.
- A log that does not fit the sealed head is set aside, never overwritten; the new one begins with an alarm.
  Refusing to unlock instead would let anyone who can delete a file lock its owner out.
- Refusals by rate are counted and written once a minute: a flood of calls must not become a flood of entries.
- The log never reads what it wrote in order to go on: the chain's state is in memory, so an edit of the file
  while the keeper runs is found by `verify` and cannot be signed over.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, Unpack

from kv.audit import view
from kv.audit.chain import GENESIS, Chain, Head, broken, walk
from kv.audit.entry import Entry, Fields, build, decode, encode
from kv.audit.store import Store, set_aside
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEAL_ENTRIES = 256  # what a crash and a truncation together can hide, in entries …
SEAL_SECONDS = 60  # … and in time
TALLIES_MAX = 1024  # (what, session) pairs counted apart; the rest share one entry
LIMIT_MAX = 10_000  # entries given at once

_SECOND = 1_000_000_000
# What a settle repeats of its intent, so that one line tells the call; names, reason and plan stand there only.
_REPEATED = (
    *("call", "verb", "connection", "effect", "title", "rule", "decision"),
    *("approval", "scope", "strength", "session", "label"),
)


def boottime() -> int:
    """Nanoseconds on the clock that sleep does not stop."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class _Found(NamedTuple):
    """What `open` found: where the chain stands, and which intents were never settled."""

    head: Head
    unsettled: dict[int, Entry]


class AuditLog:
    """The log of one unlocked vault, for one epoch. Use from one thread; `verify` works beside it.

    `alarm_at_open` says why the log that was found had to be set aside, "" if it fitted the sealed head;
    `recovered` is how many entries followed the sealed head (more than 0: the keeper was killed).
    """

    def __init__(self, store: Store, chain: Chain, now: Callable[[], float], clock: Callable[[], int]) -> None:
        self._store, self._chain, self._now, self._clock = store, chain, now, clock
        self._unsettled: dict[int, Entry] = {}
        self._tallies: dict[tuple[str, str], int] = {}
        self._tallied_since = 0
        self._sealed = (chain.head.last, clock())
        self.alarm_at_open = ""
        self.recovered = 0

    @classmethod
    def open(
        cls,
        path: str | Path,
        subkey: bytes,
        sealed: bytes | None,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], int] = boottime,
    ) -> Self:
        """Begin a new epoch of the log at `path`, made where it is absent.

        `subkey` is the vault's audit subkey (32 bytes, not kept), `sealed` the head that the vault holds, `None`
        before the first. Raises `disk` for a file that is not safe to open, `vault-busy`, `audit-unwritable`.
        """
        path, end, why = Path(path), Head.unpack(sealed), ""
        try:
            store, found = _resume(path, subkey, end)
        except KvError as error:
            if error.code != "audit-broken":
                raise
            why = error.message
            set_aside(path)
            store, found = Store(path, fresh=True), _Found(GENESIS._replace(epoch=end.epoch), {})
        log = cls(store, Chain(subkey, found.head.epoch + 1, found.head), now, clock)
        log.alarm_at_open, log.recovered = why, 0 if why else found.head.last - end.last
        try:
            log._begin(found, end)
        except BaseException:
            store.close()
            raise
        return log

    def _begin(self, found: _Found, end: Head) -> None:
        counted = f"{self.recovered:,} {'entry' if self.recovered == 1 else 'entries'}"
        tail = f"{counted} followed the sealed head" if self.recovered else ""
        self._append("event", durable=True, verb="unlock", title=tail, count=self.recovered)
        if self.alarm_at_open:
            self.alarm(verb="audit", title=f"{self.alarm_at_open}; it was set aside", count=end.last)
        self._unsettled = found.unsettled
        self._settle_all()

    def intend(self, **fields: Unpack[Fields]) -> int:
        """Record what is about to be done; the number to settle. Durable unless the effect is a read.

        Raises `audit-unwritable`: then do not do it. Raises `ValueError` for a malformed field.
        """
        entry = self._append("intend", durable=fields.get("effect") != "read", **fields)
        self._unsettled[entry.seq] = entry
        return entry.seq

    def settle(self, seq: int, **fields: Unpack[Fields]) -> None:
        """Record how the intent `seq` ended. Raises `audit-unwritable`, and `KeyError` for a second settle."""
        intent = self._unsettled[seq]
        repeated = {name: getattr(intent, name) for name in _REPEATED}
        self._append("settle", durable=False, of=seq, **{**repeated, **fields})
        del self._unsettled[seq]

    def event(self, *, durable: bool = False, **fields: Unpack[Fields]) -> int:
        """Record something that is no lending: a denial, a decision. Raises `audit-unwritable`."""
        return self._append("event", durable=durable, **fields).seq

    def alarm(self, **fields: Unpack[Fields]) -> int:
        """Record what a person has to see. Durable. Raises `audit-unwritable`."""
        return self._append("alarm", durable=True, **fields).seq

    def count(self, what: str, session: str = "") -> None:
        """Count one refusal of `session` instead of recording it; `flush` writes the sums, every 60 s at most."""
        if not self._tallies:
            self._tallied_since = self._clock()
        key = (what, session)
        if key not in self._tallies and len(self._tallies) >= TALLIES_MAX:
            key = (what, "")
        self._tallies[key] = self._tallies.get(key, 0) + 1
        if self._clock() - self._tallied_since >= SEAL_SECONDS * _SECOND:
            with suppress(KvError):  # refused already: the count stands until it can be written
                self.flush()

    def flush(self) -> None:
        """Write what was counted, one event for each (what, session). Raises `audit-unwritable`."""
        for what, session in list(self._tallies):
            self._append("event", durable=False, verb=what, session=session, count=self._tallies[what, session])
            del self._tallies[what, session]

    def _append(self, kind: str, *, durable: bool, **fields: object) -> Entry:
        head = self._chain.head
        entry = build(
            {
                **fields,
                "seq": head.last + 1,
                "epoch": head.epoch,
                "time": round(max(0.0, self._now()), 3),
                "clock": self._clock(),
                "kind": kind,
            }
        )
        body = encode(entry)
        mac = self._chain.sign(body)
        self._store.append(entry.seq, body, mac, durable=durable)
        self._chain.advance(mac)
        return entry

    @property
    def head(self) -> bytes:
        """Where the chain stands, packed: what `verify` compares with while the keeper runs."""
        return self._chain.head.pack()

    @property
    def head_due(self) -> bool:
        """Whether the vault should seal a new head: 256 entries or 60 s after the last, if there is anything new."""
        last, since = self._sealed
        new = self._chain.head.last - last
        waited = self._clock() - since >= SEAL_SECONDS * _SECOND
        return new >= SEAL_ENTRIES or (waited and (new > 0 or bool(self._tallies)))

    def checkpoint(self) -> bytes:
        """The head to be sealed now, once all it covers is on disk. Raises `audit-unwritable`.

        (A head sealed before its entries are on disk would turn a power cut into a false alarm.)
        """
        self.flush()
        self._store.sync()
        self._sealed = (self._chain.head.last, self._clock())
        return self.head

    def close(self) -> bytes:
        """Settle what still runs as unknown, record the lock, close the file; the last head, to be sealed.

        Never raises: what could not be written is reported by the next unlock. Closing twice does nothing more.
        """
        with suppress(KvError):
            self._settle_all()
            self.flush()
            self._append("event", durable=True, verb="lock")
            self._chain.head = self._chain.head._replace(closed=True)
        self._chain.forget()
        self._store.close()
        return self.head

    def _settle_all(self) -> None:
        for seq in list(self._unsettled):
            self.settle(seq, outcome="unknown")

    def entries(
        self, *, after: int = 0, limit: int = LIMIT_MAX, session: str | None = None, kind: str | None = None
    ) -> Iterator[Entry]:
        """At most `limit` entries after number `after`, in order; of one session or kind only, if given.

        Only this epoch is searched for a session: grants end with it too, and an agent cannot have all history
        read. Raises `audit-broken` for a row that is none; what was edited well is found by `verify` alone.
        """
        if session is not None:
            after = max(after, self._chain.head.first - 1)
        yield from _picked(self._store.rows(after), limit, session, kind)

    def newest(
        self, limit: int, *, before: int | None = None, session: str | None = None, kind: str | None = None
    ) -> Iterator[Entry]:
        """The entries before number `before` (all there are, without one), newest first; as `entries` otherwise."""
        end = self._chain.head.last + 1
        first = 1 if session is None else self._chain.head.first
        yield from _picked(self._store.backwards(end if before is None else before, first), limit, session, kind)

    def tail(self, limit: int, *, session: str | None = None) -> list[Entry]:
        """The newest entries, in order."""
        return list(self.newest(limit, session=session))[::-1]

    def export(self, *, after: int = 0) -> Iterator[bytes]:
        """Lines of JSON that `verify_export` can check: each entry with its mac."""
        for _, body, mac in self._store.rows(after):
            yield view.exported(body, mac)


def _picked(
    rows: Iterator[tuple[int, bytes, bytes]], limit: int, session: str | None, kind: str | None
) -> Iterator[Entry]:
    left = min(limit, LIMIT_MAX)
    # Looked for in the raw bytes first (a quote within a text is escaped there): most rows are another's.
    wanted = {"session": session, "kind": kind}
    marks = [f'"{name}":"{value}"'.encode() for name, value in wanted.items() if value is not None]
    for seq, body, _ in rows:
        if left <= 0:
            return
        if not all(mark in body for mark in marks):
            continue
        try:
            entry = decode(body)
        except ValueError:
            raise broken(seq, "it is not an entry") from None
        if session in {None, entry.session} and kind in {None, entry.kind}:
            left -= 1
            yield entry


def _resume(path: Path, subkey: bytes, end: Head) -> tuple[Store, _Found]:
    """Open the log and find where it stands. Raises `audit-broken` where it does not fit the head `end`."""
    store = Store(path, fresh=not end.last)
    try:
        return store, _find(store, subkey, end)
    except BaseException:
        store.close()
        raise


def _find(store: Store, subkey: bytes, end: Head) -> _Found:
    """After an orderly end only the last entry is looked at, so that an unlock does not grow with the log.

    After any other, the whole epoch is checked: its intents may be unsettled, and its tail is unsealed.
    """
    low, high = store.bounds()
    if low != 1:
        raise broken(low, "it stands before the first") if low < 1 else broken(1, "it is missing")
    if high < end.last:
        raise broken(high + 1, "it is missing")
    if end.closed and high == end.last and store.row(high)[2] == end.mac:
        return _Found(end, {})
    after = GENESIS
    if end.first > 1:
        after = Head(end.epoch - 1, 0, end.first - 1, store.row(end.first - 1)[2])
    head, unsettled = after, dict[int, Entry]()
    for head, entry in walk(store.rows(after.last), subkey, after):
        if head.last == end.last and head != end._replace(closed=False):
            raise broken(head.last, "it is not the one that the vault sealed")
        if entry.kind == "intend":
            unsettled[entry.seq] = entry
        unsettled.pop(entry.of, None)
    return _Found(head, unsettled)
