"""THE PATH of a call.

    1 entry     locked or unknown: an error with a hint, and nothing else happens
    2 plan      pure, canonical; has a digest
    3 decide    pure; admission is part of it
    4 ask       a person decides, never on the caller's channel
    5 intend    the audit has it, or it does not happen
    6 spend     that one connection's secrets are opened; `perform` is the only I/O to the outside
    7 redact    whole and decoded first, then select and cap, then once more
    8 settle    the audit has how it ended

Rules of this file
- Nothing before 6 has touched a value; nothing after 7 is unredacted.
- The plan that was judged is the plan that is shown, recorded and performed: the same frozen object.
- `explain` is steps 1 to 3 by the same functions.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from brokers.contract import BrokerError
from kv.card import card
from kv.daemon import record, shape
from kv.daemon.clock import boot_time
from kv.daemon.faults import as_kv_error
from kv.daemon.save import SavedFile, check_path
from kv.daemon.tickets import Ticket, Tickets
from kv.errors import KvError, clean
from kv.model import Verdict
from kv.policy import decide
from kv.redact import has_reference

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from brokers.contract import Outcome, Plan
    from kv.audit.entry import Fields
    from kv.daemon.entry import Entry
    from kv.daemon.house import House
    from kv.daemon.schema import Call
    from kv.model import Approval, Caller, Decision, Pending


@dataclass(frozen=True, slots=True)
class Judged:
    """What steps 1 to 3 found."""

    entry: Entry
    plan: Plan
    decision: Decision
    digest: str


class Pipeline:
    """Takes calls along the path. One per keeper."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tickets: Tickets[shape.Shown] = Tickets(boot_time, size=lambda shown: len(shown.raw))

    def judge(self, caller: Caller, args: Call, body: bytes) -> Judged:
        """Steps 1 to 3. Raises `KvError`."""
        entry = self.house.entry(args.connection)
        arguments = args.arguments()
        for name, value in {**arguments, "body": body}.items():
            if has_reference(value if isinstance(value, bytes) else msgspec.json.encode(value)):
                raise KvError("reference-argument", argument=name)
        try:
            plan = self.house.broker(entry.connection.kind).plan(entry.connection, arguments, body)
        except BrokerError as error:
            raise as_kv_error(error, args.connection) from None
        if args.save:
            check_path(args.save)
            if caller.uid != os.geteuid():
                raise KvError("save", why="the keeper would write as its own user where another asks it to")
        standing = self.house.standing(caller)
        return Judged(entry, plan, decide(caller, plan, entry.terms, standing, boot_time()), plan.digest())

    def explain(self, caller: Caller, args: Call, body: bytes) -> dict[str, object]:
        """What would happen, and why. Nothing is performed, asked or recorded."""
        judged = self.judge(caller, args, body)
        plan, decision = judged.plan, judged.decision
        return {
            "verdict": decision.verdict.value,
            "rule": decision.rule,
            "why": decision.why,
            "help": decision.help,
            "effect": plan.effect.value,
            "because": plan.because,
            "title": clean(plan.title, limit=2000),
            "digest": judged.digest,
            "details": [[label, clean(text, limit=2000)] for label, text in plan.details],
            "secrets": sorted(set(plan.connection.secrets.values())),
        }

    async def call(
        self,
        caller: Caller,
        args: Call,
        body: bytes,
        folder: int | None,
        say: Callable[[dict[str, object]], Awaitable[None]],
    ) -> tuple[dict[str, object], bytes]:
        """The whole path, held for at most `args.wait` seconds; then a ticket. Raises `KvError`."""
        try:
            self.house.budget.take(caller.session, boot_time())
        except KvError as refusal:
            self.house.audit.count(refusal.code, caller.session)
            raise
        judged = self.judge(caller, args, body)
        ticket = self._open(caller, judged, args, folder)
        if ticket.pending is not None and not ticket.task.done():
            await say({"event": "pending", **self._pending(ticket)})
        return await self.held(ticket, args.wait)

    async def held(self, ticket: Ticket[shape.Shown], seconds: float) -> tuple[dict[str, object], bytes]:
        """A ticket's result, or that it still waits."""
        if await self.tickets.wait(ticket, seconds):
            return self.tickets.collect(ticket).reply()
        ticket.handed = True
        return self._pending(ticket), b""

    def _pending(self, ticket: Ticket[shape.Shown]) -> dict[str, object]:
        if ticket.pending is None:
            say = f"the call is under way; take it up with ticket {ticket.id}"
            return {"pending": ticket.id, "say": say}
        shown = card(ticket.pending, boot_time())
        return {
            "pending": ticket.id,
            "expires": round(max(0.0, ticket.pending.expires - boot_time()), 1),
            "card": shown,
            "say": f"{shown['why']}. ask the user to run:  kv approve {ticket.id}   (in another terminal)",
        }

    def _open(self, caller: Caller, judged: Judged, args: Call, folder: int | None) -> Ticket[shape.Shown]:
        plan, decision = judged.plan, judged.decision
        if decision.verdict is Verdict.DENY:
            self._record_refusal(caller, judged, args.reason, "denied")
            raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)
        pending: Pending | None = None
        if decision.verdict is Verdict.ASK:
            if (open_ticket := self.tickets.find(caller.session, judged.digest)) is not None:
                return open_ticket
            pending = self.house.approvals.open(caller, plan, decision, args.reason, self.house.revision)
        ticket_id = pending.id if pending else secrets.token_hex(4).upper()
        kept = None if folder is None or not args.save else os.dup(folder)
        work = self._run(caller, judged, args, pending, kept)
        return self.tickets.start(ticket_id, caller.session, judged.digest, pending, work)

    async def _run(
        self, caller: Caller, judged: Judged, args: Call, pending: Pending | None, folder: int | None
    ) -> shape.Shown:
        try:
            approval = await self._ask(caller, judged, args, pending)
            return await self._perform(caller, judged, args, approval, folder)
        finally:
            if folder is not None:
                os.close(folder)

    async def _ask(self, caller: Caller, judged: Judged, args: Call, pending: Pending | None) -> Approval | None:
        if pending is None:
            return None
        try:
            return await self.house.approvals.wait(pending)
        except KvError as refusal:
            self._record_refusal(caller, judged, args.reason, refusal.code)
            raise
        except asyncio.CancelledError:
            self.house.approvals.withdraw(pending)
            self._record_refusal(caller, judged, "", "withdrawn")
            raise

    async def _perform(
        self, caller: Caller, judged: Judged, args: Call, approval: Approval | None, folder: int | None
    ) -> shape.Shown:
        plan, house = judged.plan, self.house
        started = boot_time()
        house.budget.charge(caller.session, plan.connection.name, judged.entry.terms.calls_per_hour, started)
        intent = record.merge(
            record.who(caller),
            record.what(plan, judged.digest, judged.decision, args.reason),
            record.by(approval, caller),
        )
        entry = house.audit.intend(**intent)
        shown: shape.Shown | None = None
        ended = "unknown"
        try:
            shown = await self._spend(caller, judged, args, folder)
            ended = "withheld" if shown.withheld else "ok"
        except KvError as error:
            ended = error.code
            raise
        finally:
            ms = round((boot_time() - started) * 1000)
            facts: Fields = shown.facts() if shown else {}
            house.audit.settle(entry, **record.merge(facts, {"outcome": ended, "ms": ms}))
        self._after(caller, shown)
        return shown

    async def _spend(self, caller: Caller, judged: Judged, args: Call, folder: int | None) -> shape.Shown:
        plan, house = judged.plan, self.house
        database = await house.database()
        saved = None
        if args.save:
            if folder is None:
                raise KvError("save", why="the client passed no folder to save under")
            saved = SavedFile(folder, args.save)
        try:
            with house.spend(plan.connection) as credential:
                outcome = await self._reach(plan, credential)
            try:
                shown = await shape.show(outcome, plan, args, database, saved)
            finally:
                await outcome.aclose()
            house.budget.note(caller.session, plan.connection.name, shown.status, boot_time())
        except BrokerError as error:
            raise as_kv_error(error, plan.connection.name) from None
        finally:
            if saved is not None:
                saved.close()
        return shown

    async def _reach(self, plan: Plan, credential: object) -> Outcome:
        broker = self.house.broker(plan.connection.kind)
        return await broker.perform(plan, credential)  # type: ignore[arg-type]

    def _after(self, caller: Caller, shown: shape.Shown) -> None:
        """A withheld result counts against the session: three guesses confirmed are a search, not an accident."""
        if not shown.withheld:
            return
        if self.house.approvals.withheld(caller.session):
            frozen: Fields = {"verb": "call", "outcome": "frozen", "rule": "three results confirmed a guess"}
            self.house.audit.alarm(**record.merge(record.who(caller), frozen))
        raise KvError("withheld", why="it holds a guessable secret that was not lent to this call")

    def _record_refusal(self, caller: Caller, judged: Judged, reason: str, outcome: str) -> None:
        told = record.what(judged.plan, judged.digest, judged.decision, reason)
        self.house.audit.event(**record.merge(record.who(caller), told, {"outcome": outcome}))
