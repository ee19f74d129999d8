"""The path of a `kv run`: as a call's (`pipeline`), but for what is performed: a program of the caller's is started.

    1 enter     the folder and the words of the command; a secret that is not there or is `high`: refused
    2 plan      the program is found and pinned; what it gets is in the plan, and so in its digest
    3 decide    policy, by the same function
    4 ask       a person, never on the caller's channel; a late yes is kept for the same command of the same session
    5 intend    the audit has it on disk, or it does not happen
    6 spend     the values are opened and go to a runner, over a pair of sockets made for this run
    7 report    when it ends: the audit has how

Rules of this file
- The keeper starts the program and never the caller; the caller's standard streams and terminal never pass through
  here, but over the control socket from the caller to the runner.
- No frame to a client carries a value: the answer says that the program runs.
- A run under way is no activity, and outlives a lock; the audit then has it as left running.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, cast

from kv.daemon import command, control, descriptors, environment, notice, record
from kv.daemon.aside import Aside
from kv.daemon.carried import carried
from kv.daemon.clock import boot_time
from kv.daemon.nursery import Nursery
from kv.daemon.program import Program, Programs
from kv.daemon.tickets import Ticket, Tickets
from kv.errors import KvError
from kv.model import Approval, Decision, Terms, Verdict
from kv.policy import decide
from kv.redact import Redaction, has_reference

if TYPE_CHECKING:
    from brokers.contract import Plan
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.daemon.house import House
    from kv.daemon.nursery import Ended, Runner
    from kv.daemon.schema import Environment, Run
    from kv.model import Caller

_LENT_BYTES = 8 << 20  # of one run: an environment holds 2 MiB, files and descriptors seldom more
_LIVE, _LIVE_OF_ONE = 128, 32  # runs at once, and of one session: each is a process with the needles
_OWNER = "a program runs as the vault's owner, and only for programs of the same user"


class _Judged(NamedTuple):
    """What steps 1 to 3 found."""

    plan: Plan
    digest: str
    decision: Decision
    program: Program


class _Live(NamedTuple):
    """A run under way."""

    session: str
    runner: Runner
    task: asyncio.Task[None]


class Runs:
    """Takes runs along the path. One per keeper."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.tickets: Tickets[Approval] = Tickets(boot_time, size=lambda _: 1, drop=house.approvals.withdraw)
        self._nursery = Nursery(house)
        self._programs = Programs()
        self._aside = Aside(1)
        self._live: dict[int, _Live] = {}
        user = pwd.getpwuid(os.geteuid())
        self._person = environment.basics(os.environ, user.pw_name, user.pw_dir, user.pw_shell)

    @property
    def live(self) -> int:
        """How many programs run."""
        return len(self._live)

    async def run(self, exchange: Exchange) -> dict[str, object]:
        """The whole path up to a program that runs; held for at most the `wait` that was asked. Raises `KvError`."""
        caller, args = exchange.caller, cast("Run", exchange.request.args)
        with ExitStack() as held:
            line, folder = control.take(exchange.folder, held)
            self.house.budget.take(caller.session, boot_time())
            judged = await self._judge(caller, args, exchange.request.body, folder)
            approval = await self._approved(exchange, judged)
            if isinstance(approval, dict):
                return approval
            self._room(caller.session)
            await self._start(exchange, judged, approval, line.fileno(), folder)
        return {"running": True}

    async def held(self, exchange: Exchange) -> dict[str, object]:
        """Which variables of an environment carry a value of the vault's. Raises `KvError`."""
        self.house.budget.take(exchange.caller.session, boot_time())
        count = cast("Environment", exchange.request.args).environment
        given = environment.variables(control.words(exchange.request.body, count))
        database = await self.house.database()
        return {"names": await self._aside.do(lambda: carried(given, database))}

    async def waited(self, ticket: Ticket[Approval], seconds: float) -> dict[str, object]:
        """Whether a run that waits may be started by now: its program and its streams are the caller's to give anew."""
        await self.tickets.wait(ticket, seconds)
        ticket.handed = True
        return self.answer(ticket)

    def awaited(self, name: str) -> bool:
        """Whether somebody waits for the answer to that card, to go on at once."""
        ticket = self.tickets.by_pending(name)
        return ticket is not None and bool(ticket.waiters)

    def answer(self, ticket: Ticket[Approval]) -> dict[str, object]:
        """What to say of a run that is not started yet."""
        if ticket.pending is None:
            return {"pending": ticket.id, "say": "it is answered: run the same command again"}
        return notice.waits(ticket.pending, ", then run the same command again")

    def kill(self) -> None:
        """`kv panic`: end every program, now."""
        for each in self._live.values():
            each.runner.kill()

    async def close(self) -> None:
        """Lock: whoever waits for a yes is told; programs that run go on, and the audit says so."""
        await self.tickets.cancel_all()
        live = [*self._live.values()]
        for each in live:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in live), return_exceptions=True)
        self._nursery.close()

    async def _judge(self, caller: Caller, args: Run, body: bytes, folder: int) -> _Judged:
        """Steps 1 to 3. Raises `KvError`."""
        words = control.words(body, args.argv + args.environment)
        if any(has_reference(word) for word in words[: args.argv]):
            raise KvError("reference-argument", argument="argv")
        command.check_lent(args.lent)
        argv = [word.decode("utf-8", "surrogateescape") for word in words[: args.argv]]
        place, manner = control.place(folder), command.Manner(_is_whole(args), args.redact, args.timeout)
        given = environment.variables(() if args.clear else words[args.argv :])
        whole = manner.person and not args.clear
        own = environment.of_person(given) if whole else environment.of_agent(given, self._person, place.path)
        for each in args.lent:
            own.pop(each.to if each.via == "env" else "", None)
        program = await self._aside.do(lambda: self._programs.find(argv[0], folder, own.get("PATH", "")))
        plan = command.plan(argv, program, place, own, args.lent, manner)
        decision = decide(caller, plan, self._terms(plan), self.house.standing(caller), boot_time())
        if caller.uid != os.geteuid():
            decision = Decision(Verdict.DENY, _OWNER, "the caller is another user", "ask the user to run it")
        return _Judged(plan, plan.digest(), decision, program)

    def _terms(self, plan: Plan) -> Terms:
        """A run's terms: asked about each exact command, or never allowed where a secret is too dear for that."""
        dear = any(self._class(name) == "high" for name in plan.connection.secrets.values())
        return Terms(admission="always", preset="strict" if dear else "balanced")

    def _class(self, name: str) -> object:
        found = self.house.vault.get("secret", name)
        if found is None:
            raise KvError("unknown-secret", name=name, similar="")
        return found.meta.get("class", "normal")

    async def _approved(self, exchange: Exchange, judged: _Judged) -> Approval | dict[str, object] | None:
        """Step 4: None where policy allows it, a person's approval; or what to say where there is none yet."""
        caller, args, decision = exchange.caller, cast("Run", exchange.request.args), judged.decision
        if decision.verdict is Verdict.ALLOW and (args.redact or caller.is_person):
            return None
        if decision.verdict is Verdict.DENY:
            await self._record_refusal(caller, judged, args.reason, "denied")
            raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)
        if _is_whole(args):  # no card: who sits there proves it, with the request
            raise KvError("proof-needed", verb="run")
        ticket = self.tickets.find(caller.session, judged.digest) or self._ask(caller, judged, args.reason)
        if ticket.pending is not None and not ticket.task.done():
            with self.tickets.unless_told(ticket):
                await exchange.say({"event": "pending", **self.answer(ticket)})
        if not await self.tickets.wait(ticket, args.wait):
            ticket.handed = True
            return self.answer(ticket)
        try:
            approval = self.tickets.collect(ticket)
        except KvError as refusal:
            await self._record_refusal(caller, judged, args.reason, refusal.code)
            raise
        if approval.policy_revision != self.house.revision:
            raise KvError("run-changed", what="the policy")
        return approval

    def _ask(self, caller: Caller, judged: _Judged, reason: str) -> Ticket[Approval]:
        self.tickets.make_room(caller.session)
        descriptors.check()
        pending = self.house.approvals.open(caller, judged.plan, judged.decision, reason, self.house.revision)
        work = self.house.approvals.wait(pending)
        ticket = self.tickets.start(pending.id, caller.session, judged.digest, pending, work)
        ticket.held.callback(self.house.approvals.withdraw, pending)
        return ticket

    def _room(self, session: str) -> None:
        if len(self._live) >= _LIVE or sum(each.session == session for each in self._live.values()) >= _LIVE_OF_ONE:
            raise KvError("busy", what="programs at once")

    async def _start(
        self, exchange: Exchange, judged: _Judged, approval: Approval | None, line: int, folder: int
    ) -> None:
        """Steps 5 and 6. Raises `KvError`."""
        house, caller, begun = self.house, exchange.caller, boot_time()
        args = cast("Run", exchange.request.args)
        facts = await self._facts(caller, judged, args.reason)
        runner = await self._nursery.runner(line)
        try:
            number = house.audit.intend(**record.merge(facts, record.by(approval, caller)))
        except KvError:
            runner.close()
            raise
        house.touch()
        try:
            self._still(caller, judged)
            await self._order(runner, args, judged, folder)
            await runner.started()
        except BaseException as error:
            runner.kill()
            runner.close()
            outcome = error.code if isinstance(error, KvError) else "interrupted"
            house.audit.settle(number, outcome=outcome, ms=round((boot_time() - begun) * 1000))
            raise
        if caller.is_person:  # the same command again, from the same shell, has been proved
            house.approvals.release(caller.session, judged.digest)
        task = asyncio.create_task(self._follow(caller, runner, number, begun))
        self._live[number] = _Live(caller.session, runner, task)
        task.add_done_callback(lambda _: self._live.pop(number, None))

    def _still(self, caller: Caller, judged: _Judged) -> None:
        """Raise `KvError` where the session was frozen meanwhile, or a secret became too dear for this."""
        decision = decide(caller, judged.plan, self._terms(judged.plan), self.house.standing(caller), boot_time())
        if decision.verdict is Verdict.DENY:
            raise KvError("denied", rule=decision.rule, why=decision.why, help=decision.help)

    async def _order(self, runner: Runner, args: Run, judged: _Judged, folder: int) -> None:
        """Hand over what is to be run and the values: opened here, forgotten at the end."""
        with self.house.spend(judged.plan.connection) as credential:
            values = [credential[command.slot(each)].expose() for each in args.lent]
            sizes = [len(value) for value in values]
            if sum(sizes) > _LENT_BYTES:
                raise KvError("too-large", argument="secrets", limit=f"{_LENT_BYTES >> 20} MiB together")
            try:
                await runner.order(command.order(judged.plan, judged.program, args.lent, sizes), values, folder)
            except OSError:
                raise KvError("internal", id="a runner ended before its time") from None
            finally:
                values.clear()

    async def _follow(self, caller: Caller, runner: Runner, number: int, begun: float) -> None:
        """Step 7: wait for the end, and record it."""
        outcome, facts = "left-running", cast("Fields", {})
        try:
            ended = await runner.ended()
            outcome, facts = "withheld" if ended.withheld else "ok", _facts_of(ended)
        except KvError as error:
            outcome = error.code
        finally:
            runner.close()
            told: Fields = {"outcome": outcome, "ms": round((boot_time() - begun) * 1000)}
            self.house.audit.settle(number, **record.merge(facts, told))
        if outcome == "withheld" and self.house.approvals.withheld(caller.session):
            frozen: Fields = {"verb": "run", "outcome": "frozen", "rule": "three results confirmed a guess"}
            self.house.audit.alarm(**record.merge(record.who(caller), frozen))

    async def _facts(self, caller: Caller, judged: _Judged, reason: str) -> Fields:
        """The audit's fields. A value that an agent put into a command does not get into the audit by that."""
        redaction = Redaction(await self.house.database())
        told = record.what(judged.plan, judged.digest, judged.decision, reason)
        title = redaction.present(judged.plan.title, "title")
        return record.merge(record.who(caller), told, {"verb": "run", "title": title, "bytes_out": 0})

    async def _record_refusal(self, caller: Caller, judged: _Judged, reason: str, outcome: str) -> None:
        self.house.audit.event(**record.merge(await self._facts(caller, judged, reason), {"outcome": outcome}))


def _is_whole(args: Run) -> bool:
    """Whether it is a person's own: with their whole environment, or their output as it comes."""
    return args.whole or not args.redact


def _facts_of(ended: Ended) -> Fields:
    status = 128 + ended.signal if ended.signal else max(0, ended.exit)
    return {"status": status, "redactions": {} if ended.withheld else ended.redactions}
