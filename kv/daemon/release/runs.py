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
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from kv import programs
from kv.daemon import record
from kv.daemon.aside import Aside
from kv.daemon.clock import boot_time
from kv.daemon.release import brought, command, environment
from kv.daemon.release.carried import carried
from kv.daemon.release.nursery import Nursery
from kv.daemon.release.program import Program, Programs
from kv.daemon.release.tree import tree
from kv.errors import KvError
from kv.paths import Runtime, home
from kv.redact import has_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from brokers.contract import Plan
    from kv.audit.entry import Fields
    from kv.daemon.dispatch import Exchange
    from kv.daemon.house import House
    from kv.daemon.release.nursery import Ended, Runner
    from kv.daemon.release.releases import JudgedRelease, Releases
    from kv.daemon.schema import Run, Variables
    from kv.model import Approval, Caller
    from kv.programs import Running

_WORDS = 2 << 20  # bytes of a command and its environment: what Linux takes for both
_LOOKS, _LOOKS_OF_ONE, _LOOK_SECONDS = 8, 2, 20.0  # at once, and of one session: a file system can be slow, or hang
_LENT_BYTES = 8 << 20  # of one run: an environment holds 2 MiB, files and descriptors seldom more
_LIVE, _LIVE_OF_ONE = 128, 32  # runs at once, and of one session: each is a process with the needles


_Found = TypeVar("_Found")


class Descriptors(NamedTuple):
    """Of a run: the client's control socket, the working folder."""

    control: int
    folder: int


class _Live(NamedTuple):
    """A run under way."""

    session: str
    runner: Runner
    program: Running | None
    task: asyncio.Task[None]


def user(number: int) -> tuple[str, str, str]:
    """A user's name, home and shell; containers run as users whom the password database does not know."""
    try:
        known = pwd.getpwuid(number)
    except KeyError:
        return str(number), home(), "/bin/sh"
    return known.pw_name, known.pw_dir, known.pw_shell


class Runs:
    """Takes runs along the path. One per keeper."""

    def __init__(self, house: House, releases: Releases) -> None:
        self.house, self.releases = house, releases
        self._nursery = Nursery(house)
        self._programs = Programs()
        self._aside = Aside(_LOOKS, "programs and folders being looked at")
        self._looks: Counter[str] = Counter()
        self._starting: Counter[str] = Counter()
        self._live: dict[int, _Live] = {}
        self._closing = False
        self._folder = Runtime(house.vault.path).folder
        self._before = programs.noted(self._folder)
        self._person = environment.basics(os.environ, *user(os.geteuid()))

    @property
    def live(self) -> int:
        """How many programs run, or are about to."""
        return len(self._live) + self._starting.total()

    async def run(self, exchange: Exchange) -> dict[str, object]:
        """The whole path up to a program that runs; held for at most the `wait` that was asked. Raises `KvError`."""
        caller, args = exchange.caller, cast("Run", exchange.request.args)
        with ExitStack() as held:
            line, folder = brought.take(exchange.folder, held)
            self.house.count_request(caller.session)
            self._check_room(caller.session)
            judged, program = await self._judge(caller, args, exchange.request.body, folder)
            exchange.request = exchange.request._replace(raw={}, body=b"")  # a waiting connection holds no body
            approval = await self.releases.approval(exchange, judged, args.wait, args.reason)
            if isinstance(approval, dict):
                return approval
            self._check_room(caller.session)
            self._starting[caller.session] += 1
            try:
                await self._start(exchange, judged, program, approval, Descriptors(line.fileno(), folder))
            finally:
                self._starting[caller.session] -= 1
        return {"running": True}

    async def carried(self, exchange: Exchange) -> dict[str, object]:
        """Which variables of an environment carry a value of the vault's. Raises `KvError`: rate, bad-frame."""
        self.house.count_request(exchange.caller.session)
        count = cast("Variables", exchange.request.args).environment
        given = environment.variables(brought.words(exchange.request.body, count))
        database = await self.house.database()
        return {"names": await self._look(exchange.caller.session, lambda: carried(given, database))}

    async def _look(self, session: str, work: Callable[[], _Found]) -> _Found:
        """What is found beside the loop, where files and folders of the caller's may hold up whoever looks at them."""
        if self._looks[session] >= _LOOKS_OF_ONE:
            raise KvError("busy", what=f"programs of one session being looked at ({_LOOKS_OF_ONE})")
        self._looks[session] += 1

        def end() -> None:
            self._looks[session] -= 1

        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await self._aside.do(work, ended=end)
        except TimeoutError:
            raise KvError("run-folder", why="it, or the program, does not answer") from None
        except KvError as error:
            if error.code == "busy":  # it has not begun
                end()
            raise

    def kill(self) -> None:
        """`kv panic`: end every program, now; one that is being started will not be."""
        self._closing = True
        for each in self._live.values():
            each.runner.kill()

    async def close(self) -> None:
        """Lock: programs that run go on, and the audit says so."""
        self._closing = True
        live = [*self._live.values()]
        for each in live:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in live), return_exceptions=True)
        self._nursery.close()

    async def _judge(self, caller: Caller, args: Run, body: bytes, folder: int) -> tuple[JudgedRelease, Program]:
        """Steps 1 to 3. Raises `KvError`."""
        if len(body) > _WORDS:
            raise KvError("too-large", argument="argv", limit=f"{_WORDS >> 20} MiB with its environment")
        words = brought.words(body, args.argv + args.environment)
        if any(has_reference(word) for word in words[: args.argv]):
            raise KvError("reference-argument", argument="argv")
        command.check_lent(args.lent)
        argv = [word.decode("utf-8", "surrogateescape") for word in words[: args.argv]]
        manner = command.Manner(_is_persons(args), args.redact, args.timeout, args.clear)
        if not manner.person:
            command.check_readable(argv, args.lent)
        place = await self._look(caller.session, lambda: brought.place(folder))
        given = environment.variables(() if args.clear else words[args.argv :])
        own = environment.of_agent(given, self._person, place.path)
        if manner.person and not args.clear:
            own = environment.of_person(given)
        for each in args.lent:
            own.pop(each.to if each.via == "env" else "", None)
        path = own.get("PATH", "")
        program = await self._look(caller.session, lambda: self._programs.find(argv[0], folder, path))
        plan = command.plan(argv, program, place, own, args.lent, manner)
        judged = self.releases.judge(caller, plan, "run", person=manner.person)
        if judged.bindable and caller.project:
            judged = self.releases.bind(
                caller, judged, await self._look(caller.session, partial(tree, place.path, path))
            )
        if not args.redact and not caller.is_person:  # what is remembered never covers it
            raise KvError("proof-needed", verb="run")
        return judged, program

    def _check_room(self, session: str) -> None:
        of_one = sum(each.session == session for each in self._live.values()) + self._starting[session]
        if self.live >= _LIVE or of_one >= _LIVE_OF_ONE:
            raise KvError("busy", what="programs at once")

    async def _start(
        self,
        exchange: Exchange,
        judged: JudgedRelease,
        program: Program,
        approval: Approval | None,
        descriptors: Descriptors,
    ) -> None:
        """Steps 5 and 6. Raises `KvError`."""
        house, caller, begun = self.house, exchange.caller, boot_time()
        args = cast("Run", exchange.request.args)
        facts = await self.releases.facts(caller, judged, args.reason)
        runner = await self._nursery.runner(descriptors.control)
        try:
            number = house.audit.intend(**record.merge(facts, record.by(approval, caller)))
        except KvError:
            runner.close()
            raise
        house.touch()
        try:
            self.releases.check_still(caller, judged)
            await self._order(runner, args, judged.plan, program, descriptors.folder)
            pid = await self._started(runner)
        except BaseException as error:
            runner.kill()
            runner.close()
            outcome = error.code if isinstance(error, KvError) else "interrupted"
            house.audit.settle(number, outcome=outcome, ms=round((boot_time() - begun) * 1000))
            raise
        if caller.is_person:  # the same command again, from the same shell, has been proved
            house.approvals.remember_release(caller.session, judged.digest)
        task = asyncio.create_task(self._follow(runner, number, begun))
        self._live[number] = _Live(caller.session, runner, programs.found(pid), task)
        task.add_done_callback(lambda _: self._over(number))
        self._note()

    async def _started(self, runner: Runner) -> int:
        """The program's pid. Raises `KvError`, also where everything was to end meanwhile."""
        pid = await runner.started()
        if self._closing:
            raise KvError("locked")
        return pid

    def _over(self, number: int) -> None:
        self._live.pop(number, None)
        if not self._closing:
            self._note()

    def _note(self) -> None:
        """Write down who runs: those of keepers before this one as well."""
        self._before = [each for each in self._before if programs.found(each.pid) == each]
        ours = [each.program for each in self._live.values() if each.program is not None]
        programs.note(self._folder, [*self._before, *ours])

    async def _order(self, runner: Runner, args: Run, plan: Plan, program: Program, folder: int) -> None:
        """Hand over what is to be run and the values: opened here, forgotten at the end."""
        with self.house.spend(plan.connection) as credential:
            values = [credential[command.slot(each)].expose() for each in args.lent]
            sizes = [len(value) for value in values]
            if sum(sizes) > _LENT_BYTES:
                raise KvError("too-large", argument="secrets", limit=f"{_LENT_BYTES >> 20} MiB together")
            try:
                await runner.order(command.order(plan, program, args.lent, sizes), values, folder)
            except OSError:
                raise KvError("internal", id="a runner ended before its time") from None
            finally:
                values.clear()

    async def _follow(self, runner: Runner, number: int, begun: float) -> None:
        """Step 7: wait for the end, and record it."""
        outcome, facts = "left-running", cast("Fields", {})
        try:
            ended = await runner.ended()
            outcome, facts = "ok", _facts_of(ended)
        except KvError as error:
            outcome = error.code
        finally:
            runner.close()
            told: Fields = {"outcome": outcome, "ms": round((boot_time() - begun) * 1000)}
            self.house.audit.settle(number, **record.merge(facts, told))


def _is_persons(args: Run) -> bool:
    """Whether it is a person's own: with their whole environment, or their output as it comes."""
    return args.person or not args.redact


def _facts_of(ended: Ended) -> Fields:
    status = 128 + ended.signal if ended.signal else max(0, ended.exit)
    return {"status": status, "redactions": ended.redactions}
