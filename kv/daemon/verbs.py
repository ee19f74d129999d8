"""What each verb does: the handlers behind both sockets, and nothing about sockets.

Rules of this file
- `_AT_ONCE` and `_WAITING` are the tables; a verb of `requests.VERBS` without a row is one that changes the vault.
- A handler is given an exchange whose proof has been checked. It answers with JSON members and a body.
- A changing handler records its act before it acts, and tells the house that policy's ground has changed.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kv import __version__
from kv.daemon import caller as callers
from kv.daemon import enrolment, pages, record, secrets
from kv.daemon.answers import Answers
from kv.daemon.inspection import Inspection
from kv.daemon.login import login
from kv.daemon.release.fingerprint import fingerprint
from kv.daemon.release.handoffs import HandOffs
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kv.daemon.dispatch import Answer, Exchange
    from kv.daemon.gate import Gate
    from kv.daemon.house import House
    from kv.daemon.keeper import Keeper
    from kv.daemon.pipeline import Pipeline
    from kv.daemon.release.runs import Runs
    from kv.daemon.requests import Request
    from kv.daemon.schema import Backup, Listing, Named, Page, Setup, Ticket, Wait


class Verbs:
    """The handlers, bound to one keeper's house."""

    def __init__(self, keeper: Keeper, house: House, gate: Gate, pipeline: Pipeline, runs: Runs) -> None:
        self.keeper = keeper
        self.house = house
        self.gate = gate
        self.pipeline = pipeline
        self.runs = runs
        self.releases = runs.releases
        self.handoffs = HandOffs(house, runs.releases)
        self.secrets = secrets.Secrets(house)
        self.enrolment = enrolment.Enrolment(house)
        self.inspection = Inspection(house)
        self.answers = Answers(house, pipeline, runs.releases)

    def waits(self, verb: str) -> bool:
        """Whether the verb's answer has to be waited for: then it is `handle`'s."""
        return verb not in _AT_ONCE

    def at_once(self, exchange: Exchange) -> Answer:
        """Check the proof, then run a verb that does not wait. Raises `KvError`."""
        self._check(exchange)
        answer = _AT_ONCE[exchange.request.name](self, exchange)
        self._used(exchange.request)
        return answer

    async def handle(self, exchange: Exchange) -> Answer:
        """Check the proof, then run a verb that may wait. Raises `KvError`."""
        self._check(exchange)
        answer = await _WAITING.get(exchange.request.name, Verbs._change)(self, exchange)
        self._used(exchange.request)
        return answer

    def _check(self, exchange: Exchange) -> None:
        if kind := self.gate.check(exchange.request, exchange.caller, exchange.conversation):
            exchange.caller = replace(exchange.caller, proven=kind)  # that came with this very request

    def _used(self, request: Request) -> None:
        if request.verb.uses:
            self.house.touch()  # only now: what is refused must not keep a vault open

    async def _change(self, exchange: Exchange) -> Answer:
        """A verb that changes the vault: recorded first, then done, then what was decoded from it is forgotten."""
        request, house = exchange.request, self.house
        if house.vault.read_only:
            raise KvError("vault-older", found=house.vault.generation, seen=house.vault.seen or 0)
        await house.database()  # a change while the needles are being built would be lost to them
        owner = self.enrolment if request.name in enrolment.VERBS else self.secrets
        title = owner.title(request)
        act = record.act(request.name, title, record.strength(exchange))
        with record.recorded(house.audit, record.merge(record.who(exchange.caller), act)):
            return await owner.perform(request)

    def status(self, exchange: Exchange) -> Answer:
        """How the keeper is."""
        who = exchange.caller
        return {
            **self.keeper.status(),
            "locked": False,
            "pid": os.getpid(),
            "version": __version__,
            "vault": self.house.vault.path,
            "secrets": self.house.vault.count("secret"),
            "connections": self.house.vault.count("connection"),
            "runs": self.runs.live,
            "waiting": len(self.house.approvals.waiting(who.session)),
            "session": who.session,
            "caller": who.label,
            "tier": callers.tier(who),
            "proofs": self.gate.kinds(),
            "generation": self.house.vault.generation,
            "read_only": self.house.vault.read_only,
            "seen": self.house.vault.seen,
            "keys": self.house.vault.key_kind,
        }, b""

    def list(self, exchange: Exchange) -> Answer:
        """Names, never values."""
        args = cast("Listing", exchange.request.args)
        return self.secrets.listing(args.prefix, whole=exchange.caller.is_person), b""

    def show(self, exchange: Exchange) -> Answer:
        """Metadata of a secret."""
        return self.secrets.show(cast("Named", exchange.request.args).name), b""

    def history(self, exchange: Exchange) -> Answer:
        """The kept revisions of a secret."""
        return self.secrets.history(cast("Named", exchange.request.args).name), b""

    def connections(self, _: Exchange) -> Answer:
        """Every connection as its person declared it, and what was found where it leads."""
        found, looked = self.secrets.connections(), self.house.findings
        return {"connections": [{**each, "findings": looked.get(str(each["name"]))} for each in found]}, b""

    def backup(self, exchange: Exchange) -> Answer:
        """A copy of the sealed file, create-only, in the folder whose descriptor came along."""
        args = cast("Backup", exchange.request.args)
        if exchange.folder is None or "/" in args.file or args.file in {"", ".", ".."}:
            raise KvError("bad-argument", argument="file", why="a file's name, and its folder's descriptor with it")
        self.house.vault.backup(f"/proc/self/fd/{exchange.folder}/{args.file}")
        return {"file": args.file, "generation": self.house.vault.generation}, b""

    def providers(self, _: Exchange) -> Answer:
        """The catalogue."""
        from brokers.http import catalogue

        return {"providers": catalogue.listing()}, b""

    async def call(self, exchange: Exchange) -> Answer:
        """THE PATH."""
        return await self.pipeline.call(exchange)

    async def explain(self, exchange: Exchange) -> Answer:
        """Steps 1 to 3 of it."""
        return await self.pipeline.explain(exchange), b""

    async def wait(self, exchange: Exchange) -> Answer:
        """Take up a ticket."""
        args = cast("Wait", exchange.request.args)
        session = exchange.caller.session
        if (release := self.releases.tickets.of(session, args.ticket)) is not None:
            return await self.releases.waited(release, args.wait), b""
        return await self.pipeline.held(exchange, self.pipeline.tickets.get(session, args.ticket), args.wait)

    def withdraw(self, exchange: Exchange) -> Answer:
        """Give a ticket up."""
        session, name = exchange.caller.session, cast("Ticket", exchange.request.args).ticket
        if (release := self.releases.tickets.of(session, name)) is not None:
            self.releases.tickets.withdraw(release)
        else:
            self.pipeline.tickets.withdraw(self.pipeline.tickets.get(session, name))
        return {}, b""

    async def run(self, exchange: Exchange) -> Answer:
        """A program with secrets."""
        return await self.runs.run(exchange), b""

    async def hand_off(self, exchange: Exchange) -> Answer:
        """Tokens for values that the caller's shell is to have."""
        return await self.handoffs.ask(exchange), b""

    async def take(self, exchange: Exchange) -> Answer:
        """The value behind a token, once."""
        return await self.handoffs.take(exchange)

    def peek(self, exchange: Exchange) -> Answer:
        """A keyed fingerprint of a value: counted and recorded, since the value is opened for it."""
        self.house.count_request(exchange.caller.session)
        found = self.secrets.show(cast("Named", exchange.request.args).name)
        name = str(found["name"])
        self.house.audit.event(**record.merge(record.who(exchange.caller), {"verb": "peek", "names": (name,)}))
        told = fingerprint(self.house.vault, name)
        return {"name": found["name"], "revision": found["revision"], "fingerprint": told}, b""

    async def carried(self, exchange: Exchange) -> Answer:
        """Which variables carry a value of the vault's."""
        return await self.runs.carried(exchange), b""

    def setup(self, exchange: Exchange) -> Answer:
        """A person tells clients of kv: the command edits their files, the proof and the record are here."""
        args = cast("Setup", exchange.request.args)
        title = f"setup {'--undo ' if args.undo else ''}{' '.join(args.clients)}"
        act = record.act("setup", title, record.strength(exchange))
        self.house.audit.event(**record.merge(record.who(exchange.caller), act))
        return {}, b""

    def challenge(self, exchange: Exchange) -> Answer:
        """A nonce for one proof on this connection."""
        return self.gate.challenge(exchange.caller, exchange.conversation), b""

    def lock(self, _: Exchange) -> Answer:
        """The keeper ends; needs no proof, since it only takes away."""
        self.keeper.stop("lock")
        return {}, b""

    def panic(self, exchange: Exchange) -> Answer:
        """Everything stops: calls, grants, the keeper."""
        self.house.approvals.panic()
        self.runs.kill()
        self.house.audit.alarm(**record.merge(record.who(exchange.caller), {"verb": "panic"}))
        self.keeper.stop("panic")
        return {}, b""

    def audit(self, exchange: Exchange) -> Answer:
        """A page of the audit: one's own entries, or all with a proof."""
        return pages.page(self.house.audit, exchange.caller, cast("Page", exchange.request.args))

    async def audit_verify(self, _: Exchange) -> Answer:
        """Walk the whole chain against the head sealed in the vault."""
        return await pages.verified(self.house), b""


_AT_ONCE: dict[str, Callable[[Verbs, Exchange], Answer]] = {
    "status": Verbs.status,
    "list": Verbs.list,
    "providers": Verbs.providers,
    "withdraw": Verbs.withdraw,
    "approvals": lambda verbs, exchange: verbs.answers.approvals(exchange),
    "deny": lambda verbs, exchange: verbs.answers.deny(exchange),
    "unfreeze": lambda verbs, exchange: verbs.answers.unfreeze(exchange),
    "setup": Verbs.setup,
    "challenge": Verbs.challenge,
    "lock": Verbs.lock,
    "panic": Verbs.panic,
    "audit": Verbs.audit,
    "peek": Verbs.peek,
    "show": Verbs.show,
    "history": Verbs.history,
    "connections": Verbs.connections,
    "backup": Verbs.backup,
}

_WAITING: dict[str, Callable[[Verbs, Exchange], Awaitable[Answer]]] = {
    "call": Verbs.call,
    "query": Verbs.call,
    "ssh": Verbs.call,
    "explain": Verbs.explain,
    "explain-query": Verbs.explain,
    "explain-ssh": Verbs.explain,
    "run": Verbs.run,
    "hand-off": Verbs.hand_off,
    "take": Verbs.take,
    "carried": Verbs.carried,
    "login": lambda verbs, exchange: login(verbs.house, exchange),
    "inspect": lambda verbs, exchange: verbs.inspection.look(exchange),
    "wait": Verbs.wait,
    "approve": lambda verbs, exchange: verbs.answers.approve(exchange),
    "audit-verify": Verbs.audit_verify,
}
