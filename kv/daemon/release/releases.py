"""A release: a value itself is to be given away, to a program or to a shell. What judging and asking of both share.

Rules of this file
- A person is asked about this exact release, or proves it with the request; nothing else is covered by their yes.
- A late yes is kept for the session that asked, for exactly that release, and is used once: its program and its streams
  are the caller's, who may have gone meanwhile and asks again.
- A secret of class high is released to nobody without a person's proof.
- A yes is remembered beyond the session only where all secrets are of class low, or while a git work tree, looked at
  when the command is asked for, is what it was (`tree`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from kv.daemon import descriptors, notice, record
from kv.daemon.clock import boot_time
from kv.daemon.tickets import Ticket, Tickets
from kv.errors import KvError
from kv.model import Approval, Decision, Terms, Verdict, admission
from kv.policy import decide
from kv.similar import similar

if TYPE_CHECKING:
    from brokers.contract import Plan
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.daemon.house import House
    from kv.model import Caller

_PRESETS = {"high": "strict", "normal": "balanced", "low": "relaxed"}  # by a secret's class, the dearest first
_AGAIN = "run the same command again"
_OWNER = "a value is given to programs of the vault's owner only"


class JudgedRelease(NamedTuple):
    """A release's plan, its digest, and what policy says. `verb` asks for it.

    `person`: it is a person's own, who proves it with the request instead of answering a card.
    """

    verb: str
    plan: Plan
    digest: str
    decision: Decision
    person: bool

    @property
    def bindable(self) -> bool:
        """Whether a person is going to be asked, who could say yes for good if it were bound to something."""
        ask = self.decision.verdict is Verdict.ASK
        return ask and not self.person and "session" in self.decision.scopes and "project" not in self.decision.scopes


class Releases:
    """Judges and asks. One per keeper."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._classes: dict[str, str] = {}
        self._generation = -1
        self.tickets: Tickets[Approval] = Tickets(boot_time, size=lambda _: 1, drop=house.approvals.withdraw)

    def judge(self, caller: Caller, plan: Plan, verb: str, *, person: bool = False) -> JudgedRelease:
        """What policy says of it now. Raises `KvError("unknown-secret")`."""
        decision = decide(caller, plan, self._terms(plan), self.house.standing(caller), boot_time())
        if caller.uid != os.geteuid():
            decision = Decision(Verdict.DENY, _OWNER, "the caller is another user", "ask the user to do it")
        return JudgedRelease(verb, plan, plan.digest(), decision, person)

    def bind(self, caller: Caller, judged: JudgedRelease, tree: str) -> JudgedRelease:
        """The same, where a yes for good can be bound to the content of a work tree; allowed if it has been."""
        if not tree:
            return judged
        decision, name = judged.decision, judged.plan.connection.name
        if admission(name, judged.digest, tree) in self.house.standing(caller).admitted:
            rule = "this exact command is allowed while this work tree is what it was"
            return judged._replace(decision=Decision(Verdict.ALLOW, rule, decision.why))
        bound = replace(decision, scopes=(*decision.scopes, "project"), tree=tree)
        return judged._replace(decision=bound)

    def _terms(self, plan: Plan) -> Terms:
        """By the dearest secret: never allowed, asked about each one, or asked and perhaps remembered for good."""
        classes = {self._class(name) for name in plan.connection.secrets.values()}
        return Terms(admission="always", preset=next(_PRESETS[each] for each in _PRESETS if each in classes))

    def _class(self, name: str) -> str:
        """The class of a secret, as it stands in the vault of this generation."""
        if self._generation != self.house.vault.generation:
            self._generation = self.house.vault.generation
            self._classes.clear()
        if name not in self._classes:
            found = self.house.vault.get("secret", name)
            if found is None:
                raise KvError("unknown-secret", name=name, similar=similar(name, self.house.vault.names("secret")))
            stated = found.meta.get("class")
            self._classes[name] = stated if isinstance(stated, str) and stated in _PRESETS else "normal"
        return self._classes[name]

    async def approval(
        self, exchange: Exchange, judged: JudgedRelease, seconds: float, reason: str
    ) -> Approval | dict[str, object] | None:
        """None where policy allows it, a person's approval, or what to say while there is none. Raises `KvError`."""
        caller, decision = exchange.caller, judged.decision
        if decision.verdict is Verdict.ALLOW:
            return None
        if judged.person and not caller.is_person:
            raise KvError("proof-needed", verb=judged.verb)
        if decision.verdict is Verdict.DENY:
            await self.record_refusal(caller, judged, reason, "denied")
            raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)
        ticket = self.tickets.find(caller.session, judged.digest) or self._ask(caller, judged, reason)
        if ticket.pending is not None and not ticket.task.done():
            with self.tickets.unless_told(ticket):
                await exchange.say({"event": "pending", **notice.waits(ticket.pending)})
        if not await self.tickets.wait(ticket, seconds):
            ticket.handed = True
            return self._waits(ticket)
        first = self.tickets.is_open(ticket)
        try:
            approval = self.tickets.collect(ticket)
        except KvError as refusal:
            await self.record_refusal(caller, judged, reason, refusal.code)
            raise
        if approval.scope == "once" and not first:  # whoever joined the asking has not been said yes to
            raise KvError("unknown-ticket", id=ticket.id)
        if approval.policy_revision != self.house.revision:
            raise KvError("run-changed", what="the policy")
        return approval

    def _ask(self, caller: Caller, judged: JudgedRelease, reason: str) -> Ticket[Approval]:
        self.tickets.make_room(caller.session)
        descriptors.check()
        pending = self.house.approvals.open(caller, judged.plan, judged.decision, reason, self.house.revision)
        work = self.house.approvals.wait(pending)
        ticket = self.tickets.start(pending.id, caller.session, judged.digest, pending, work)
        ticket.held.callback(self.house.approvals.withdraw, pending)
        return ticket

    async def waited(self, ticket: Ticket[Approval], seconds: float) -> dict[str, object]:
        """Whether a person has said yes by now; the yes itself is for who asks again. Raises what they said no with."""
        if not await self.tickets.wait(ticket, seconds):
            ticket.handed = True
            return self._waits(ticket)
        if not ticket.task.cancelled() and ticket.task.exception() is None:
            return {"approved": ticket.id, "say": f"a person said yes: {_AGAIN}"}
        self.tickets.collect(ticket)
        raise KvError("unknown-ticket", id=ticket.id)

    def _waits(self, ticket: Ticket[Approval]) -> dict[str, object]:
        """What to say of one that nobody waits for any more. In the instant of its answer there is no card."""
        if ticket.pending is None:
            return {"pending": ticket.id, "say": f"it is being answered: {_AGAIN}"}
        return notice.waits(ticket.pending, f", then {_AGAIN}")

    def awaited(self, name: str) -> bool:
        """Whether somebody waits for the answer to that card, to go on at once."""
        ticket = self.tickets.by_pending(name)
        return ticket is not None and bool(ticket.waiters)

    def check_still(self, caller: Caller, judged: JudgedRelease) -> None:
        """Raise `KvError` where the session was frozen meanwhile, or a secret became too dear for this."""
        decision = self.judge(caller, judged.plan, judged.verb).decision
        if decision.verdict is Verdict.DENY:
            raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)

    async def facts(self, caller: Caller, judged: JudgedRelease, reason: str) -> Fields:
        """The audit's fields. A value that an agent put into a command does not get into the audit by that."""
        await self.house.database()
        told = record.what(judged.plan, judged.digest, judged.decision, reason)
        said: Fields = {"verb": judged.verb, "title": self.house.title(judged.plan), "bytes_out": 0}
        return record.merge(record.who(caller), told, said)

    async def record_refusal(self, caller: Caller, judged: JudgedRelease, reason: str, outcome: str) -> None:
        """The audit has that it was refused, and by what."""
        self.house.audit.event(**record.merge(await self.facts(caller, judged, reason), {"outcome": outcome}))
