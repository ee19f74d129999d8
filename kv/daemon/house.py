"""What the keeper holds while unlocked: vault, audit, needles, brokers, sessions' standing.

Rules of this file
- One owner: the event loop. Only the needles are built in a thread, from values that are handed over once.
- `spend` is the one gate through which a credential is opened for a call; it takes the connection of the plan that
  policy judged.
- `entry` opens no value: a denied call never touches one.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError, Connection, Credential
from kv import registry, strangers
from kv.audit import Peer
from kv.daemon import admissions, record
from kv.daemon.approvals import Approvals
from kv.daemon.caller import alive
from kv.daemon.clock import boot_time
from kv.daemon.entry import Entry, catalogued, decode_entry, jump_of, kind_of, scheme, through
from kv.daemon.safe import Safe
from kv.errors import KvError, clean
from kv.paths import Runtime
from kv.redact import Needles, Redaction
from kv.seen import remember
from kv.similar import similar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from brokers.contract import Broker, Plan
    from kv.audit import AuditLog
    from kv.daemon.budget import Budget
    from kv.model import Caller, Pending, Standing
    from kv.redact import Database
    from kv.vault.contents import Record
    from kv.vault.session import Vault


_STRANGER = "a listener that is not ours was found on {}.sock; refused"
_STRANGERS = 32  # alarms of one keeper: who writes notes for us must not fill the audit

Wanted = tuple[str, bytes, int, tuple[bytes, ...]]  # name, value, strength in bits, forms that travel in its place


class House:
    """The open house of one vault. Raises what the vault raises; `close` ends it."""

    def __init__(self, vault: Vault, audit: AuditLog, budget: Budget) -> None:
        self.vault = vault
        self.audit = audit
        self.alarms: list[str] = []  # what was found when it was opened, for whoever unlocks
        self._strangers = 0
        self.used = boot_time()  # when the vault was last used: idle time runs from here
        self.revision = 0  # of policy: an approval asked under another one is void
        self.approvals = Approvals(boot_time, alive=alive, revision=lambda: self.revision)
        self.budget = budget
        self.needles = Needles()
        self.findings: dict[str, dict[str, object]] = {}  # of databases that were looked at, what `inspect` told
        self.safe = Safe(self)
        self._ready = asyncio.Event()
        self._failure: KvError | None = None
        self._brokers: dict[str, Broker] = {}
        self._entries: dict[str, Entry] = {}
        self._ways: dict[str, Entry] = {}
        admissions.recall(vault, self.approvals)

    async def prepare(self) -> None:
        """Build the needles off the loop; until that is done every result waits. Raises `KvError("vault-damaged")`."""
        try:
            await asyncio.to_thread(self._build, self.wanted())
        except KvError as error:
            self._failure = error
            raise
        finally:
            self._ready.set()

    def _build(self, wanted: list[Wanted]) -> None:
        for name, value, bits, forms in wanted:
            self.needles.add(name, value, bits=bits, derived=forms)
        self.needles.merge()
        self.needles.database()

    def title(self, plan: Plan) -> str:
        """A plan's title for the audit: no value that an agent put into it gets there, and no guess is confirmed.

        Who made the call can read it.
        """
        return Redaction(self.needles.database(), overlook=True).present(record.title(plan), "title")

    def wanted(self) -> list[Wanted]:
        """All that the needles are made of: for a process that is to have the same ones."""
        return [*self._needles_of(self.vault.names("secret"))]

    def _needles_of(self, names: Iterable[str]) -> Iterator[Wanted]:
        """Every kept revision of each secret, and what its connections make of the newest.

        An old key in an answer is still somebody's key; `user:password` travels in the place of a password.
        """
        uses = [self.entry(name).connection for name in self.vault.names("connection")]
        for name in names:
            forms = [
                form for connection in uses if name in connection.secrets.values() for form in self._forms(connection)
            ]
            for kept in self.vault.history("secret", name):
                value = self.vault.value("secret", name, kept.revision).expose()
                yield name, value, _bits(kept), tuple(forms)
                forms = []

    def _forms(self, connection: Connection) -> tuple[bytes, ...]:
        try:
            with self.spend(connection) as credential:
                if (of := kind_of(connection.kind)).schemes:
                    return of.forms(credential, connection.target)
                return scheme(connection.scheme).forms(credential, connection.options)
        except (BrokerError, KvError):
            return ()  # a connection that cannot be used makes nothing of its secrets

    async def database(self) -> Database:
        """The needles to scan with, once there are any to trust. Raises what building them raised."""
        await self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self.needles.database()

    def entry(self, name: str) -> Entry:
        """The connection of that name, or the only one of the provider of that name. Raises `unknown-connection`."""
        found = self._entries.get(name)
        if found is None:
            found = self._load(name)
            self._entries[found.connection.name] = found
        return found

    def way(self, name: str) -> Entry:
        """The connection as it is used: one that jumps has the connection that it jumps through within.

        Raises `KvError`: unknown-connection, bad-argument.
        """
        entry = self.entry(name)
        found = self._ways.get(entry.connection.name)
        if found is None:
            jump = jump_of(entry.connection)
            found = through(entry, self.entry(jump)) if jump else entry
            self._ways[entry.connection.name] = found
        return found

    def _load(self, name: str) -> Entry:
        record = self.vault.get("connection", name)
        if record is not None:
            return decode_entry(name, record.meta)
        names = self.vault.names("connection")
        ours = [each for each in names if each != name and self.entry(each).connection.provider == name]
        if len(ours) == 1:
            return self.entry(ours[0])
        raise KvError("unknown-connection", name=name, similar=similar(name, names))

    def changed(self, *connections: str) -> None:
        """These connections were changed: forget what was decoded of them, void what was asked or allowed before."""
        for name in connections:
            self._entries.pop(name, None)
        # A way through another jump host is another way.
        known = self.vault.names("connection") if connections else ()
        over = [name for name in known if jump_of(self.entry(name).connection) in connections]
        touched = (*connections, *over)
        for name in touched:
            self.findings.pop(name, None)
            self._ways.pop(name, None)
            self.approvals.forget(name)
        admissions.forget(self.vault, touched)
        self.revision += bool(connections)

    def standing(self, caller: Caller) -> Standing:
        """What the caller's session has now."""
        return self.approvals.standing(caller.session, caller.project, boot_time())

    def count_request(self, session: str) -> None:
        """One more of what the session may ask. Raises `KvError("rate")`, which is counted and not recorded."""
        try:
            self.budget.take(session, boot_time())
        except KvError as refusal:
            self.audit.count(refusal.code, session)
            raise

    def touch(self) -> None:
        """The vault is being used: a call is performed, or a person acts. Idle time starts anew."""
        self.used = boot_time()

    def answerable(self, name: str, by: str, approver: str, scope: str | None) -> Pending:
        """What a person's yes would answer; nothing happens yet. Raises what `approve` would, as far as can be told."""
        pending = self.approvals.check(name, by, approver, scope)
        if scope == "project" and self.vault.read_only:  # it is to be sealed
            raise KvError("vault-older", found=self.vault.generation, seen=self.vault.seen or 0)
        return pending

    def approve(self, name: str, by: str, approver: str, scope: str) -> None:
        """A person's yes. An admission of a project is sealed first: it outlives this keeper, or nothing happens."""
        pending = self.answerable(name, by, approver, scope)
        if scope == "project":
            admissions.remember(self.vault, pending.caller.project, pending.admits)
        self.approvals.approve(name, by, approver, scope)

    def add_needles(self, name: str) -> None:
        """Look for a secret as it is now, instead of as it was."""
        self.needles.remove(name)
        for _, value, bits, forms in self._needles_of([name]):
            self.needles.add(name, value, bits=bits, derived=forms)

    def tick(self) -> None:
        """Once a second: record who was found in our place, seal the audit's head when it is due."""
        self.record_strangers()
        if self.audit.head_due and not self.vault.read_only:
            self.vault.seal_audit_head(self.audit.checkpoint())

    def look_back(self) -> None:
        """Right after opening: make alarms of what happened to the files while nobody watched. Raises `KvError`."""
        vault, audit = self.vault, self.audit
        if audit.alarm_at_open:
            self.alarms.append(f"{audit.alarm_at_open}; it was set aside, and a new one began")
        if vault.older:
            title = f"the vault file is older than the one seen last: generation {vault.generation}, seen {vault.seen}"
            audit.alarm(verb="unlock", title=title if vault.read_only else f"{title}; a person accepted it")
        self.record_strangers()
        if not vault.read_only:  # now, not in a minute: a first log that is deleted before any head is sealed is missed
            vault.seal_audit_head(audit.checkpoint())

    def record_strangers(self) -> None:
        """Make alarms of the listeners that clients found in our place. Raises `audit-unwritable`."""
        folder = Runtime(self.vault.path).folder
        if (notes := strangers.noted(folder)) is None:
            return
        for found in notes:
            if self._strangers < _STRANGERS:
                self._strangers += 1
                who = Peer(pid=found.pid, exe=found.exe, uid=found.uid)
                self.audit.alarm(verb="socket", title=_STRANGER.format(found.socket), peer=who)
                self.alarms.append(f"{_STRANGER.format(found.socket)} (pid {found.pid} {clean(found.exe)})")
        strangers.forget(folder)  # garbage too: it would leave no room for a note

    def at_open(self) -> dict[str, object]:
        """What whoever unlocks is told."""
        return {
            "generation": self.vault.generation,
            "seen": self.vault.seen,
            "read_only": self.vault.read_only,
            "alarms": list(self.alarms),
            "recovered": self.audit.recovered,
        }

    def broker(self, kind: str) -> Broker:
        """The broker of a kind, imported and made at its first use."""
        if kind not in self._brokers:
            given = {"schemes": scheme, "catalogue": catalogued, "safe": self.safe}
            broker = registry.load(registry.BROKERS, kind)
            made: Broker = broker(**{name: given[name] for name in cast("Broker", broker).wants})
            self._brokers[kind] = made
        return self._brokers[kind]

    @contextmanager
    def spend(self, connection: Connection) -> Iterator[Credential]:
        """Lend the secrets of a connection to one call: opened here, forgotten at the end."""
        slots = {slot: self.vault.value("secret", name) for slot, name in connection.secrets.items()}
        try:
            yield Credential(slots)
        finally:
            slots.clear()

    async def close(self) -> None:
        """Close connections, seal the audit's head into the vault, note its generation, close both files."""
        try:
            for broker in self._brokers.values():
                await broker.aclose()
        finally:
            head = self.audit.close()
            if not self.vault.read_only:
                self.vault.seal_audit_head(head)
                remember(self.vault.path, {"generation": self.vault.generation})
            self.vault.close()


def _bits(record: Record) -> int:
    """The strength that was estimated when the value was stored; none counts as guessable."""
    bits = record.meta.get("strength")
    return bits if isinstance(bits, int) else 0
