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

import msgspec

from kv import __version__
from kv.card import cards
from kv.daemon import caller as callers
from kv.daemon import enrolment, pages, record, secrets
from kv.daemon.clock import boot_time
from kv.errors import KvError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kv.daemon.dispatch import Answer, Exchange
    from kv.daemon.gate import Gate
    from kv.daemon.house import House
    from kv.daemon.keeper import Keeper
    from kv.daemon.pipeline import Pipeline
    from kv.daemon.requests import Request
    from kv.daemon.schema import Approve, Backup, Id, Listing, Named, Page, Session, Setup, Ticket, Wait

_LISTED_MAX = 8 << 20  # bytes of cards in one answer; a body holds 17 MiB
_RESUME_SECONDS = 5.0  # how long `approve` waits to tell how the resumed call went; most take less, none waits on it


class Verbs:
    """The handlers, bound to one keeper's house."""

    def __init__(self, keeper: Keeper, house: House, gate: Gate, pipeline: Pipeline) -> None:
        self.keeper = keeper
        self.house = house
        self.gate = gate
        self.pipeline = pipeline
        self.secrets = secrets.Secrets(house)
        self.enrolment = enrolment.Enrolment(house)

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
        entry = house.audit.intend(
            **record.merge(record.who(exchange.caller), record.act(request.name, title, record.strength(exchange)))
        )
        outcome = "unknown"
        try:
            answer = await owner.perform(request)
            outcome = "ok"
        except KvError as error:
            outcome = error.code
            raise
        finally:
            house.audit.settle(entry, outcome=outcome)
        return answer

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
        """Every connection as its person declared it."""
        return {"connections": self.secrets.connections()}, b""

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
        ticket = self.pipeline.tickets.get(exchange.caller.session, args.ticket)
        return await self.pipeline.held(exchange, ticket, args.wait)

    def withdraw(self, exchange: Exchange) -> Answer:
        """Give a ticket up."""
        tickets = self.pipeline.tickets
        tickets.withdraw(tickets.get(exchange.caller.session, cast("Ticket", exchange.request.args).ticket))
        return {}, b""

    def approvals(self, exchange: Exchange) -> Answer:
        """What waits: one's own, or everybody's with a proof."""
        session = None if exchange.caller.is_person else exchange.caller.session
        listed = cards(self.house.approvals.waiting(session), boot_time())
        if len(msgspec.json.encode(listed)) > _LISTED_MAX:  # a crowd of long cards must not hide the list itself
            listed = [{**each, "details": []} for each in listed]
        found: dict[str, object] = {"approvals": listed}
        if session is None:
            found["frozen"] = self.house.approvals.frozen()
        return found, b""

    async def approve(self, exchange: Exchange) -> Answer:
        """A person's yes: the very call that waits goes on."""
        args = cast("Approve", exchange.request.args)
        house, who = self.house, exchange.caller
        # A proof typed inside the asking session may have been phished there. One by descriptor was not typed.
        strength = record.strength(exchange)
        approver = "" if strength == "descriptor-passphrase" else who.session
        pending, scope = house.answerable(args.id, who.proven, approver, args.scope), args.scope or "once"
        ticket = self.pipeline.tickets.by_pending(pending.id)
        answer = record.merge(record.who(who), record.answer(pending, "approve", scope, strength))
        house.audit.event(durable=True, **answer)
        try:
            house.approve(args.id, who.proven, approver, scope)
        except KvError as error:  # nothing was approved, whatever the entry before says
            house.audit.event(durable=True, **record.merge(answer, {"outcome": error.code}))
            raise
        status = 0
        if ticket is not None:
            done = await self.pipeline.tickets.wait(ticket, _RESUME_SECONDS)
            if done and not ticket.task.cancelled() and ticket.task.exception() is None:
                status = ticket.task.result().status
        return {
            "id": pending.id,
            "resumed": ticket is not None,
            "effect": pending.plan.effect.value,
            "title": pending.plan.title,
            "status": status,
        }, b""

    def deny(self, exchange: Exchange) -> Answer:
        """A person's no."""
        pending = self.house.approvals.deny(cast("Id", exchange.request.args).id, exchange.caller.proven)
        self.house.audit.event(
            **record.merge(record.who(exchange.caller), record.answer(pending, "deny", "", record.strength(exchange)))
        )
        return {"id": pending.id}, b""

    def unfreeze(self, exchange: Exchange) -> Answer:
        """A person lets a frozen session go on, from nothing."""
        session = cast("Session", exchange.request.args).session
        self.house.approvals.unfreeze(session)
        self.house.audit.event(
            durable=True,
            **record.merge(record.who(exchange.caller), record.act("unfreeze", session, record.strength(exchange))),
        )
        return {"session": session}, b""

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
    "approvals": Verbs.approvals,
    "deny": Verbs.deny,
    "unfreeze": Verbs.unfreeze,
    "setup": Verbs.setup,
    "challenge": Verbs.challenge,
    "lock": Verbs.lock,
    "panic": Verbs.panic,
    "audit": Verbs.audit,
    "show": Verbs.show,
    "history": Verbs.history,
    "connections": Verbs.connections,
    "backup": Verbs.backup,
}

_WAITING: dict[str, Callable[[Verbs, Exchange], Awaitable[Answer]]] = {
    "call": Verbs.call,
    "explain": Verbs.explain,
    "wait": Verbs.wait,
    "approve": Verbs.approve,
    "audit-verify": Verbs.audit_verify,
}
