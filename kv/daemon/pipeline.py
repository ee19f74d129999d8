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
- The plan that was judged is the plan that is shown, recorded and performed: the same digest. A card may say besides
  how much it would touch.
- `explain` is steps 1 to 3 by the same functions, and takes from the same budget.
- Whatever a call holds (bytes, descriptors, a card that waits) is let go by one `ExitStack`, however the call ends.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from brokers.contract import BrokerError
from kv.daemon import consequences, descriptors, notice, record, shape
from kv.daemon.aside import Aside
from kv.daemon.captures import Captures
from kv.daemon.clock import boot_time
from kv.daemon.entry import check_verb
from kv.daemon.errand import Errand
from kv.daemon.faults import as_kv_error
from kv.daemon.holdings import Holdings
from kv.daemon.judged import Judged, estimate
from kv.daemon.listener import listener_of
from kv.daemon.planning import Planner
from kv.daemon.save import Saving, check_path
from kv.daemon.tickets import Ticket, Tickets
from kv.daemon.turns import Turns
from kv.daemon.uses import Use
from kv.errors import KvError
from kv.model import Verdict
from kv.paths import Runtime
from kv.policy import decide

if TYPE_CHECKING:
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.daemon.holdings import Share
    from kv.daemon.house import House
    from kv.daemon.listener import Listener
    from kv.daemon.save import SavedFile
    from kv.model import Approval, Caller, Pending

# Bytes of bodies and of answers: sixteen of the largest calls at once, four of one session. Both halves of a call are
# counted, from the request's arrival until its answer has been sent.
_HELD, _HELD_OF_ONE = 256 << 20, 64 << 20


class Pipeline:
    """Takes calls along the path. One per keeper."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tickets: Tickets[shape.Shown] = Tickets(
            boot_time, size=lambda shown: len(shown.raw), drop=house.approvals.withdraw
        )
        self._holdings = Holdings(_HELD, _HELD_OF_ONE, "bodies and answers of calls")
        self._planner = Planner()
        self._reader = Aside(1)
        self._turns = Turns()
        self._captures = Captures(house)
        self._saving = Saving(Runtime(house.vault.path).folder)

    async def judge(self, caller: Caller, args: Use, body: bytes) -> Judged:
        """Steps 1 to 3. Raises `KvError`."""
        while True:
            entry = self.house.way(args.connection)
            check_verb(entry.connection, args)
            broker = self.house.broker(entry.connection.kind)
            plan, digest = await self._planner.plan(broker, entry.connection, args.arguments(), body, args.connection)
            if self.house.way(args.connection) is entry:  # else it was planned for what the connection no longer is
                break
        self._captures.check(plan)
        if args.save:
            check_path(args.save)
            if caller.uid != os.geteuid():
                raise KvError("save", why="the keeper would write as its own user where another asks it to")
        standing = self.house.standing(caller)
        return Judged(entry, plan, decide(caller, plan, entry.terms, standing, boot_time()), digest)

    async def explain(self, exchange: Exchange) -> dict[str, object]:
        """What would happen, and why. Nothing is performed, asked or recorded. Raises `KvError`."""
        with ExitStack() as held:
            judged, _, _ = await self._enter(exchange, held)
        return judged.told()

    async def call(self, exchange: Exchange) -> tuple[dict[str, object], bytes]:
        """The whole path, held for at most the `wait` that was asked for; then a ticket. Raises `KvError`."""
        seconds, listener = cast("Use", exchange.request.args).wait, listener_of(exchange, self.house)
        try:
            ticket = await self._ticket(exchange, listener)
            if ticket.pending is not None and not ticket.task.done():
                with self.tickets.unless_told(ticket):
                    await exchange.say({"event": "pending", **self._pending(ticket)})
            done = await self.tickets.wait(ticket, seconds)
            while not done and listener is not None and listener.began:  # the call's own time ends it
                done = await self.tickets.wait(ticket, seconds=60)
            return self._told(exchange, ticket, done=done)
        finally:
            if listener is not None:
                await listener.close()

    async def held(
        self, exchange: Exchange, ticket: Ticket[shape.Shown], seconds: float
    ) -> tuple[dict[str, object], bytes]:
        """A ticket's result, or that it still waits."""
        return self._told(exchange, ticket, done=await self.tickets.wait(ticket, seconds))

    def _told(self, exchange: Exchange, ticket: Ticket[shape.Shown], *, done: bool) -> tuple[dict[str, object], bytes]:
        if done:
            members, raw = self.tickets.collect(ticket).reply()
            share = self._holdings.open(ticket.session)
            exchange.after.callback(share.close)
            share.set(len(raw))
            return members, raw
        ticket.handed = True
        return self._pending(ticket), b""

    def _pending(self, ticket: Ticket[shape.Shown]) -> dict[str, object]:
        if ticket.pending is None:
            say = f"the call is under way; take it up with ticket {ticket.id}"
            return {"pending": ticket.id, "say": say}
        return notice.waits(ticket.pending)

    async def _enter(self, exchange: Exchange, held: ExitStack) -> tuple[Judged, Use, Share]:
        """Steps 1 to 3 within the budgets; what is left of the arguments after that, and what the call holds."""
        caller, request = exchange.caller, exchange.request
        args = cast("Use", request.args)
        rest = type(args)(
            connection=args.connection, select=args.select, save=args.save, reason=args.reason, wait=args.wait
        )
        exchange.request = request._replace(args=rest, raw={}, body=b"")  # a waiting connection holds no body
        self.house.count_request(caller.session)
        share = self._holdings.open(caller.session)
        held.callback(share.close)
        share.reach(len(request.body))
        return await self.judge(caller, args, request.body), rest, share

    async def _ticket(self, exchange: Exchange, listener: Listener | None) -> Ticket[shape.Shown]:
        """The ticket of a call that may be made or asked about: a new one, or the one that it joins."""
        with ExitStack() as held:
            judged, args, share = await self._enter(exchange, held)
            caller, decision = exchange.caller, judged.decision
            if decision.verdict is Verdict.DENY:
                self._record_refusal(caller, judged, args.reason, "denied")
                raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)
            if decision.verdict is Verdict.ASK:
                if (joined := self.tickets.find(caller.session, judged.digest)) is not None:
                    return joined
                judged = await self._previewed(caller, judged, share)
                if (joined := self.tickets.find(caller.session, judged.digest)) is not None:
                    return joined  # its twin was quicker
            return self._open(Errand(caller, judged, args, share, exchange.folder, listener), held)

    async def _previewed(self, caller: Caller, judged: Judged, share: Share) -> Judged:
        """With what the broker can tell of its reach on the card: a call of its own, judged and recorded like any."""
        broker = self.house.broker(judged.plan.connection.kind)
        seen = broker.preview(judged.plan)
        if seen is None:
            return judged
        decision = decide(caller, seen, judged.entry.terms, self.house.standing(caller), boot_time())
        if decision.verdict is not Verdict.ALLOW:
            return judged.estimated("not taken before this session may read there")
        look, args = Judged(judged.entry, seen, decision, seen.digest()), Use(connection=seen.connection.name)
        try:
            shown = await self._perform(Errand(caller, look, args, share), None)
            return judged.estimated(estimate(shown.raw))
        except KvError as error:
            return judged.estimated(f"not to be had ({error.fields.get('why', error.code)})")

    def _open(self, errand: Errand, held: ExitStack) -> Ticket[shape.Shown]:
        caller, judged, house = errand.caller, errand.judged, self.house
        self.tickets.make_room(caller.session)
        descriptors.check()
        kept = None
        if errand.folder is not None and errand.args.save:
            kept = os.dup(errand.folder)
            held.callback(os.close, kept)
        pending: Pending | None = None
        if judged.decision.verdict is Verdict.ASK:
            pending = house.approvals.open(caller, judged.plan, judged.decision, errand.args.reason, house.revision)
            held.callback(house.approvals.withdraw, pending)
        name = pending.id if pending else secrets.token_hex(4).upper()
        work = self._run(replace(errand, folder=kept), pending)
        ticket = self.tickets.start(name, caller.session, judged.digest, pending, work)
        ticket.held = held.pop_all()
        return ticket

    async def _run(self, errand: Errand, pending: Pending | None) -> shape.Shown:
        approval = await self._ask(errand, pending)
        try:
            return await self._perform(errand, approval)
        except asyncio.CancelledError as cut:
            raise KvError("interrupted", why=str(cut) or "its client is gone") from None

    async def _ask(self, errand: Errand, pending: Pending | None) -> Approval | None:
        if pending is None:
            return None
        try:
            return await self.house.approvals.wait(pending)
        except KvError as refusal:
            self._record_refusal(errand.caller, errand.judged, errand.args.reason, refusal.code)
            raise
        except asyncio.CancelledError:
            self.house.approvals.withdraw(pending)
            self._record_refusal(errand.caller, errand.judged, "", "withdrawn")
            raise

    async def _perform(self, errand: Errand, approval: Approval | None) -> shape.Shown:
        caller, judged, house = errand.caller, errand.judged, self.house
        plan = judged.plan
        started = boot_time()
        house.budget.charge(caller.session, plan.connection.name, judged.entry.terms.calls_per_hour, started)
        intent = record.merge(
            record.who(caller),
            record.what(plan, judged.digest, judged.decision, errand.args.reason),
            record.by(approval, caller),
        )
        number = house.audit.intend(**intent)
        house.touch()
        shown: shape.Shown | None = None
        ended = "unknown"
        try:
            with self._captures.held(plan):
                shown = await self._spend(errand)
            ended = "withheld" if shown.withheld else "ok"
        except KvError as error:
            ended = error.code
            raise
        finally:
            ms = round((boot_time() - started) * 1000)
            facts: Fields = shown.facts() if shown else {}
            house.audit.settle(number, **record.merge(facts, {"outcome": ended, "ms": ms}))
        if shown.withheld:
            consequences.of_guess(house, caller)
        return shown

    async def _spend(self, errand: Errand) -> shape.Shown:
        caller, plan, house = errand.caller, errand.judged.plan, self.house
        saved = await self._saved(errand)
        broker, turn = house.broker(plan.connection.kind), None
        try:
            turn = await self._turns.take(caller.session, broker, plan)
            # After what an agent's folder or other calls can hold up, in one step with the value: the needles know that
            # very one.
            database = await house.database()
            self._still(caller, errand.judged)
            learned = house.safe.learned
            with house.spend(plan.connection) as credential:
                outcome = await broker.perform(plan, credential)
            try:
                if house.safe.learned != learned:
                    database = await house.database()
                # At once: what cannot be selected, saved or shown was refused all the same.
                house.budget.note(caller.session, plan.connection.name, shape.status(outcome), boot_time())
                desk = shape.Desk(database, errand.share, self._reader, saved, listener=errand.listener)
                return await self._captures.show(outcome, plan, errand.args, desk)
            finally:
                await outcome.aclose()
        except BrokerError as error:
            consequences.of_failure(house, caller, plan.connection.name, error)
            raise as_kv_error(error, plan.connection.name) from None
        finally:
            for held in (turn, saved):
                if held is not None:
                    held.close()

    def _still(self, caller: Caller, judged: Judged) -> None:
        """Raise `KvError` where the connection is another one by now, or the session was frozen meanwhile."""
        if self.house.way(judged.plan.connection.name) is not judged.entry:
            rule, why = "a call is performed on what it was judged on", "the connection changed meanwhile"
            raise KvError("denied", rule=rule, why=why, help="make the call again")
        if why := self.house.standing(caller).frozen:
            raise KvError("frozen", why=why)

    async def _saved(self, errand: Errand) -> SavedFile | None:
        if not errand.args.save:
            return None
        if errand.folder is None:
            raise KvError("save", why="the client passed no folder to save under")
        return await self._saving.open(errand.caller.session, errand.folder, errand.args.save)

    def _record_refusal(self, caller: Caller, judged: Judged, reason: str, outcome: str) -> None:
        told = record.what(judged.plan, judged.digest, judged.decision, reason)
        self.house.audit.event(**record.merge(record.who(caller), told, {"outcome": outcome}))
