"""Cards, and a person's answers to them.

Rules of this file
- An answer is recorded before it counts.
- Who asks never answers: that is `approvals`' to see to, given the session that the proof was typed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from kv.card import cards
from kv.daemon import record
from kv.daemon.clock import boot_time
from kv.errors import KvError, clean

if TYPE_CHECKING:
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Answer, Exchange
    from kv.daemon.house import House
    from kv.daemon.pipeline import Pipeline
    from kv.daemon.release.releases import Releases
    from kv.daemon.schema import Approve, Id, Session
    from kv.model import Pending

_LISTED_MAX = 8 << 20  # bytes of cards in one answer; a body holds 17 MiB
_RESUME_SECONDS = 5.0  # how long `approve` waits to tell how the resumed call went; most take less, none waits on it


class Answers:
    """The verbs about cards."""

    def __init__(self, house: House, pipeline: Pipeline, releases: Releases) -> None:
        self.house = house
        self.pipeline = pipeline
        self.releases = releases

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
        waits = ticket is not None or self.releases.awaited(pending.id)
        answer = record.merge(record.who(who), self._answer(pending, "approve", scope, strength))
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
            "resumed": waits,
            "effect": pending.plan.effect.value,
            "title": clean(pending.plan.title, limit=2000),
            "status": status,
        }, b""

    def _answer(self, pending: Pending, verb: str, scope: str, strength: str) -> Fields:
        told: Fields = {"title": self.house.title(pending.plan)}
        return record.merge(record.answer(pending, verb, scope, strength), told)

    def deny(self, exchange: Exchange) -> Answer:
        """A person's no."""
        pending = self.house.approvals.deny(cast("Id", exchange.request.args).id, exchange.caller.proven)
        self.house.audit.event(
            **record.merge(record.who(exchange.caller), self._answer(pending, "deny", "", record.strength(exchange)))
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
